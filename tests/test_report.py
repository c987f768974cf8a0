"""The report from records: whole, self-contained, and open about what is missing."""

import re
import sys

import numpy as np
import pytest
import torch
from conftest import run
from test_records import measurement

from analysis import quality, reliability, table
from mt_ls.calibration import Bins, bin_sums
from mt_ls.records import append


def _records(folder, alphas=(0.0, 0.1), beam=True):
    rng = np.random.default_rng(0)
    folder.mkdir()
    np.savez(folder / "x.npz", sentence_bins=rng.random((20, 3, 15)))
    for alpha in alphas:
        for split in ("valid", "test"):
            for temperature in (0.8, 1.0, 1.2):
                confidence = rng.beta(3, 1, 2000)
                common = {
                    "run": f"toy_a{alpha}_s1", "alpha": alpha, "split": split, "temperature": temperature,
                    "bins": Bins.of(confidence, rng.random(2000) < confidence), "perplexity": 9.0, "accuracy": 0.6,
                    "fitted_temperature": 1.2, "arrays": "x.npz",
                    "sha": {"data": "d" * 64, "checkpoint": f"{alpha}" * 20, "code": "e" * 40},
                }  # fmt: skip
                append(folder / "records.jsonl", measurement(**common))
                if beam:
                    score = {"score": 20 + temperature, "signature": "x"}
                    classes = {"others": common["bins"], "eos": Bins.of([0.9, 0.7], [1, 0])}
                    append(folder / "records.jsonl", measurement(**common, mode="beam", beam=5, bleu=score,
                                                                 bins_by_class=classes, n_left_out=7))  # fmt: skip


def _report(*arguments):
    return run([sys.executable, "-m", "analysis.report", *map(str, arguments)])


def test_report_is_whole_and_self_contained(tmp_path):
    _records(tmp_path / "runs")
    found = _report(tmp_path / "runs", "--out", tmp_path / "out")
    assert found.returncode == 0, found.stderr
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("<svg") == 3 and "Nothing: every cell was measured" in page
    assert not re.search(r'(src|href)="(?!#)', page)
    for name in ("temperature", "reliability", "quality"):
        assert (tmp_path / "out" / "figures" / f"{name}.png").stat().st_size > 10_000
        assert "ECE|mode:forced" in (tmp_path / "out" / "figures" / f"{name}.svg").read_text()
    assert "21.0" in found.stdout and str(tmp_path / "out" / "report.html") in found.stdout


def test_what_was_not_measured_is_an_empty_cell_and_is_named(tmp_path):
    _records(tmp_path / "runs", alphas=(0.1,), beam=False)
    found = _report(tmp_path / "runs", "--out", tmp_path / "out")
    assert found.returncode == 0, found.stderr
    page = (tmp_path / "out" / "report.html").read_text()
    assert "baseline ECE" in page.split("<h2>Missing</h2>")[1]
    assert "figure “Translation quality" in page
    assert "0.0000" not in found.stdout


@pytest.mark.parametrize(("make", "message"), [(False, "no such file or folder"), (True, "no record")])
def test_no_records_is_one_line(tmp_path, make, message):
    if make:
        (tmp_path / "runs").mkdir()
    found = _report(tmp_path / "runs", "--out", tmp_path / "out")
    assert found.returncode == 2 and message in found.stderr and len(found.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_token_classes_stand_apart(tmp_path):
    _records(tmp_path / "runs")
    cells = quality.class_table(table.load([tmp_path / "runs"]))
    assert [row[0] for row in cells[:3]] == ["alpha 0, others", "alpha 0, eos", "alpha 0, shifted (left out)"]
    assert cells[1][1:5] == ["2", "0.800", "0.500", "0.4000"] and cells[2][1] == "7"  # |0.9 - 1| and |0.7 - 0|, halved


def test_table_3_has_the_papers_row(tmp_path):
    _records(tmp_path / "runs")
    rows = table.load([tmp_path / "runs"])
    cells = quality.table_3(rows)
    assert cells[0][1:] == ["0.056", "0.018 / 1.13", "0.019 / 0.1"]
    assert [row[0] for row in cells[1:]] == ["ours, toy, valid", "ours, toy, test"]
    assert cells[1][2].endswith("/ 1.20")


def test_interval_covers_the_ece_and_matches_a_plain_bootstrap(tmp_path):
    rng = np.random.default_rng(1)
    confidence, sentence = rng.beta(3, 1, 4000), np.repeat(np.arange(400), 10)
    hit = rng.random(4000) < confidence**2
    sums = [bin_sums(torch.tensor(confidence[sentence == i]), torch.tensor(hit[sentence == i])) for i in range(400)]
    np.savez(tmp_path / "x.npz", sentence_bins=np.stack(sums))
    row = table.Row(measurement(arrays="x.npz", bins=Bins.of(confidence, hit)), tmp_path)
    low, high = table.interval(row, np.random.default_rng(0))
    plain = []
    for _ in range(300):
        chosen = rng.integers(400, size=400)
        index = (chosen[:, None] * 10 + np.arange(10)).reshape(-1)
        plain.append(Bins.of(confidence[index], hit[index]).ece())
    np.testing.assert_allclose((low, high), np.quantile(plain, [0.025, 0.975]), atol=0.004)
    assert low < row.record.bins.ece() < high


def test_wilson_interval():
    """8 of 10: [0.4902, 0.9433] (Newcombe 1998's method 3, as statsmodels gives it)."""
    low, high = reliability.wilson(np.array([8.0]), np.array([10.0]))
    assert low[0] == pytest.approx(0.4902, abs=2e-4) and high[0] == pytest.approx(0.9433, abs=2e-4)
