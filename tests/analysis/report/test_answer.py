"""The answer in words, on made-up models whose truth is known."""

import numpy as np
import pytest
from builders import item_bins, record, row, study, write, write_world

from analysis.report.__main__ import main
from analysis.report.answer import answer
from analysis.report.page import write as write_report
from analysis.rows import load
from analysis.study import Study
from mt_ls.calibration.bins import Bins

N, LENGTH = 100, 20


def write_model(folder, amount, gaps, nll, trigrams, seed=1, split="test"):
    """Records at T = 1 and at the fitted T = 1.5 of a model that is right on 70 % of the tokens, and by ``gaps`` too
    sure of it, with an NLL and a number of right trigrams a sentence."""
    rng = np.random.default_rng(seed)
    hit, noise = rng.random(N * LENGTH) < 0.7, rng.gamma(4.0, 0.25, N)
    noise /= noise.mean()
    for temperature, gap, of_token, right in zip((1.0, 1.5), gaps, nll, trigrams, strict=True):
        bins = item_bins(np.full(N * LENGTH, hit.mean() + gap), hit, np.repeat(np.arange(N), LENGTH), N)
        common = {"seed": seed, "split": split, "temperature": temperature, "bins": Bins.from_sums(bins.sum(0))}
        common |= {"fitted_temperature": 1.5, "fitted_on": "valid", "accuracy": hit.mean()}
        write(folder, record(amount, **common, nll=of_token), bins=bins, nll=of_token * LENGTH * noise)
        counts = np.tile([20, 20, 14, 11, right, 6, 20, 19, 18, 17], (N, 1))
        searched = {"mode": "beam", "beam": 5, "lenpen": 1.0, "bleu": {"score": 30.0 + right, "signature": "x"}}
        write(folder, record(amount, **common, **searched), bins=bins, bleu=counts, text=["Satz"] * N)


def test_the_papers_effect_is_said_in_four_sentences(tmp_path):
    write_model(tmp_path, 0.0, gaps=(0.2, 0.0), nll=(2.0, 1.9), trigrams=(8, 8))
    write_model(tmp_path, 0.1, gaps=(0.0, -0.2), nll=(1.95, 2.1), trigrams=(9, 9))
    hard, smoothed, at_fitted, interval = answer(Study(load([tmp_path])))
    assert hard.startswith("On test, without smoothing: over-confident (confidence 0.9")
    assert smoothed.startswith("On test, with smoothing 0.1: neither over- nor under-confident (confidence 0.7")
    assert smoothed.endswith(
        "Smoothing lowers forced ECE (0.2000 to 0.0000), lowers NLL (2.000 to 1.950 nats) and raises BLEU "
        "(38.0 to 39.0)."
    )
    assert at_fitted == (
        "On test, without smoothing at T = 1.50, fitted on half of valid: the temperature lowers forced ECE "
        "(0.2000 to 0.0000), lowers NLL (2.000 to 1.900 nats) and has no clear effect on BLEU (38.0 to 38.0)."
    )
    assert "over sentences leaves out 0. This is one training seed" in interval


def test_the_opposite_effect_is_said_as_well(tmp_path):
    for seed in (1, 2):
        write_model(tmp_path, 0.0, (0.0, -0.2), (1.9, 2.0), (9, 9), seed)
        write_model(tmp_path, 0.1, (-0.2, 0.0), (2.0, 1.9), (8, 8), seed)
    hard, smoothed, at_fitted, interval = answer(Study(load([tmp_path])))
    assert ": neither over- nor under-confident" in hard and ": under-confident" in smoothed
    assert "raises forced ECE (0.0000 to 0.2000), raises NLL (1.900 to 2.000 nats) and lowers BLEU" in smoothed
    assert "the temperature raises forced ECE" in at_fitted
    assert interval == "An effect is clear where its 95 % interval over sentences and 2 training seeds leaves out 0."


def test_seeds_that_only_one_of_the_models_has_do_not_count(tmp_path):
    write_model(tmp_path, 0.0, (0.2, 0.0), (2.0, 1.9), (8, 8))
    write_model(tmp_path, 0.0, (0.2, 0.0), (9.0, 9.0), (1, 1), seed=2)
    write_model(tmp_path, 0.1, (0.0, -0.2), (1.95, 2.1), (9, 9))
    assert "lowers NLL (2.000 to 1.950 nats)" in answer(Study(load([tmp_path])))[1]


def test_of_one_model_there_is_no_comparison(tmp_path):
    write_model(tmp_path, 0.1, (0.0, -0.2), (1.95, 2.1), (9, 9))
    smoothed, _ = answer(Study(load([tmp_path])))
    assert "with smoothing 0.1: neither" in smoothed and "Smoothing" not in smoothed


def test_without_items_there_are_numbers_and_no_direction():
    rows = [row(amount, nll=nll, accuracy=0.5) for amount, nll in ((0.0, 2.0), (0.1, 1.0))]
    hard, smoothed, _ = answer(study(*rows))
    assert hard == "On test, without smoothing: confidence 0.550, accuracy 0.500."
    assert smoothed.endswith("makes the forced ECE (0.1500 to 0.1500) and makes the NLL (2.000 to 1.000 nats).")
    assert answer(study(*rows, by="run")) == []


def test_of_images_each_network_has_its_sentences(tmp_path):
    sentences = answer(Study(load([write_world(tmp_path, True)])))
    assert sentences[0].startswith("mlp_1200 on test, without smoothing: over-confident")
    assert "raises accuracy (0.8" in sentences[1] and "NLL" in sentences[1]
    assert "the temperature lowers ECE" in sentences[2]
    assert "over images and 3 training seeds" in sentences[3] and len(sentences) == 4


def test_a_temperature_says_nothing_of_the_accuracy_of_images():
    of_network = {"architecture": "net", "mode": "images", "fitted_temperature": 1.5, "fitted_on": "valid"}
    rows = [row(0.0, temperature=t, nll=nll, accuracy=0.5, **of_network) for t, nll in ((1.0, 2.0), (1.5, 1.0))]
    _, at_fitted, _ = answer(study(*rows))
    assert at_fitted.startswith("net on test, without smoothing at T = 1.50") and "NLL (2.000 to 1.000" in at_fitted
    assert "accuracy" not in at_fitted


def test_a_terminal_shows_the_answer_and_the_main_table_and_the_others_are_files(tmp_path, capsys):
    for split in ("valid", "test"):
        write_model(tmp_path / "runs", 0.0, (0.2, 0.0), (2.0, 1.9), (8, 8), split=split)
        write_model(tmp_path / "runs", 0.1, (0.0, -0.2), (1.95, 2.1), (9, 9), split=split)
    out = tmp_path / "out"
    assert main([str(tmp_path / "runs"), "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    of_main = (out / "tables" / "main.txt").read_text()
    words = "\n".join(answer(Study(load([tmp_path / "runs"]))))
    assert shown == f"{words}\n\nMain table on test\n{of_main}\ntables: {out}/tables\nreport: {out}/report.html\n"
    others = [path.read_text() for path in (out / "tables").iterdir() if path.name != "main.txt"]
    assert len(others) >= 3 and not any(text in shown for text in others)
    assert len(shown.splitlines()) < 24
    assert "without smoothing: over-confident" in (out / "report.html").read_text()


@pytest.mark.parametrize("by", ["model", "run"])
def test_a_terminal_shows_the_accuracy_of_images(tmp_path, by):
    of_images = [row for row in load([write_world(tmp_path / "runs", True)]) if row.record.mode == "images"]
    text = write_report(Study(of_images, by), tmp_path / "out")
    assert "Accuracy (Table 2) on test\n" in text and "Other estimators" not in text
    assert ("mlp_1200 on test, without smoothing" in text) is (by == "model")
