"""The rule of claims on made-up vectors, and verdicts on made-up studies whose truth is known."""

import sys

import numpy as np
import pytest
from builders import record, taught_by, write, write_run, write_world
from msgspec.structs import replace

from analysis import claims, publish
from analysis.claims.__main__ import main
from analysis.claims.rule import Claim, Missing, decide
from analysis.claims.translation import CLAIMS
from analysis.quantities import BLEU
from analysis.rows import Row, load, select
from analysis.study import Study
from mt_ls.calibration.bins import Bins


def claim(**means):
    """A claim with a part of each mean, over three seeds and 500 resamples with a standard error of 1."""
    rng = np.random.default_rng(0)
    items = rng.normal(size=501)
    items[0] = 0.0
    wobble = np.array([[-0.01], [0.0], [0.01]])
    parts = {name: mean + items[None] + wobble for name, mean in means.items()}
    return Claim(1, "words", "where", "paper", "unit", lambda evidence: parts)


@pytest.mark.parametrize(
    ("means", "word", "worst"),
    [
        ({"a": 5.0, "b": 3.0}, "reproduced", "b"),
        ({"a": 5.0, "b": -5.0}, "not reproduced", "b"),
        ({"a": 5.0, "b": 0.5}, "inconclusive", "b"),
        ({"a": 5.0, "b": -2.1}, "inconclusive", "b"),  # below 0 at 95 %, not at the level of two parts
        ({"b": -2.1}, "not reproduced", "b"),
    ],
)
def test_every_part_must_hold_and_one_refutes(means, word, worst):
    verdict = decide(claim(**means), None)
    assert (verdict.word, verdict.part) == (word, worst)


def test_one_seed_is_inconclusive():
    vectors = np.full((1, 11), 5.0)
    verdict = decide(Claim(1, "", "", "", "", lambda evidence: {"a": vectors}), None)
    assert (verdict.word, verdict.why) == ("inconclusive", "one training seed")


def test_what_is_missing_is_named():
    def parts(evidence):
        raise Missing("runs")

    verdict = decide(Claim(1, "", "", "", "", parts), None)
    assert (verdict.word, verdict.why, verdict.estimate) == ("not measured", "runs", None)


N_SENTENCES, LENGTH = 400, 30
GRID = (0.8, 1.0, 1.2)


def write_grid(folder, seeds=(1, 2, 3), smoothing_helps=True, **model):
    """Runs of alpha 0 and 0.1. If smoothing helps: the hard model is over-confident at T = 1 and calibrated at 1.2, the
    smoothed one calibrated at 1 and better by two BLEU, and worse in NLL; if not, the two change places."""
    rng = np.random.default_rng(0)
    for seed in seeds:
        for amount in (0.0, 0.1):
            smoothed = (amount == 0.1) == smoothing_helps
            for split in ("valid", "test"):
                for t in GRID:
                    _write(folder, rng, amount, seed, split, t, smoothed, model)
                _write(folder, rng, amount, seed, split, 1.0, smoothed, model, beam=50)


def _write(folder, rng, amount, seed, split, t, smoothed, model, beam=5):
    best = 1.0 if smoothed else 1.2
    share = 0.6 + 0.02 * rng.normal(size=N_SENTENCES)
    count = np.full(N_SENTENCES, float(LENGTH))
    bins = np.zeros((N_SENTENCES, 3, 15))
    bins[:, :, 10] = np.stack((count, count * 0.7, rng.binomial(LENGTH, 0.7 - 0.4 * abs(t - best), N_SENTENCES)), 1)
    hits = rng.binomial(LENGTH, share + 0.03 * smoothed - 0.3 * abs(t - best))
    order = np.arange(4)
    matches = np.maximum(hits[:, None] - 3 * order, 0)
    length = LENGTH - 2 * (beam == 50) * smoothed
    lengths = np.full((N_SENTENCES, 2), (length, LENGTH))
    counts = np.column_stack((lengths, matches, np.broadcast_to(length - order, (N_SENTENCES, 4))))
    nll = count * (2 + 0.3 * smoothed + (t - best) ** 2) + 0.1 * rng.normal(size=N_SENTENCES)
    common = {
        "run": f"{model.get('architecture', 'grid')}_a{amount}_s{seed}",
        "corpus": "grid",
        "seed": seed,
        "split": split,
        "temperature": t,
        "bins": Bins.from_sums(bins.sum(0)),
        "fitted_temperature": best,
        "fitted_on": "valid",
        **model,
    }
    if beam == 5:
        write(folder, record(amount, **common, nll=nll.sum() / count.sum()), bins=bins, nll=nll)
    worse = bins.copy()
    worse[:, 2] = worse[:, 2] // 2
    score = BLEU.of_items(counts, np.ones((1, N_SENTENCES))).item()
    searched = record(amount, **common, mode="beam", beam=beam, lenpen=1.0, bleu={"score": score})
    write(folder, searched, bins=worse, bleu=counts)


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grid")
    write_grid(folder)
    return folder


def decided(rows, draws=50):
    return claims.verdicts(Study(rows), draws)


def verdicts(folder):
    """{claim's number: verdict}."""
    return {f.claim.number: f.word for f in decided(load([folder]), draws=300)}


def test_a_world_in_which_the_paper_is_right(grid):
    found = verdicts(grid)
    assert {number for number, verdict in found.items() if verdict == "reproduced"} >= {1, 2, 3, 4, 5, 7, 9, 10}
    assert "not reproduced" not in found.values()


def test_a_world_in_which_the_paper_is_wrong(tmp_path):
    write_grid(tmp_path, smoothing_helps=False)
    found = verdicts(tmp_path)
    assert {number for number, verdict in found.items() if verdict == "not reproduced"} == {2, 3, 4, 5, 6, 7, 10}
    assert found[9] == "reproduced"


def test_what_is_published_gives_the_same_findings(grid, tmp_path):
    rows = load([grid])
    publish.publish(rows, tmp_path)
    published = decided(load([tmp_path]))
    assert claims.cells(published) == claims.cells(decided(rows))
    assert all(verdict.estimate for verdict in published)


def test_a_search_in_half_precision_decides_no_claim(grid):
    rows = load([grid])
    half = [
        Row(replace(row.record, search_precision="fp16", bleu={"score": 0.0}), row.folder)
        for row in select(rows, mode="beam")
    ]
    assert half and claims.cells(decided([*rows, *half])) == claims.cells(decided(rows))


def test_models_of_two_architectures_are_not_averaged(grid, tmp_path):
    """Smoothing helps one body and harms the other: each has its parts, and the claims do not hold for both."""
    write_grid(tmp_path, architecture="big")
    write_grid(tmp_path, smoothing_helps=False, architecture="small")
    found = {f.claim.number: f for f in decided(load([tmp_path]), draws=300)}
    assert found[4].word == "not reproduced" and found[4].part == "BLEU(0.1) - BLEU(0), small, alpha 0"
    assert found[4].estimate.n_seeds == 3


def test_the_same_temperature_chosen_twice_decides_nothing(grid):
    """ECE and NLL are least at the same T here: the gain is exactly 0 in every resample."""
    (verdict,) = [f for f in decided(load([grid])) if f.claim.number == 8]
    assert verdict.word == "inconclusive" and verdict.estimate.interval() == (0.0, 0.0)


def test_one_seed_proves_nothing_and_what_is_missing_is_named(grid):
    one = [row for row in load([grid]) if row.record.seed == 1]
    assert {f.word for f in decided(one, draws=300)} == {"inconclusive"}
    rows = [row for row in one if row.record.beam != 50]
    missing = [f for f in decided(rows) if f.word == "not measured"]
    assert [f.claim.number for f in missing] == [10]
    assert missing[0].why == "test, alpha 0, seed 1, beam50, T 1.0"
    hard = select(rows, amount=0.0)
    assert {f.why for f in decided(hard)} == {"runs of alpha 0 and 0.1 with the same seed on valid and test"}


def test_a_run_that_is_measured_in_part_does_not_count(grid):
    rows = load([grid])
    for split in ("valid", "test"):
        of_part = [
            row
            for row in rows
            if not (row.record.seed == 2 and row.record.split == split and row.record.model.smoothing.amount == 0.1)
        ]
        without = [row for row in rows if row.record.seed != 2]
        assert decided(of_part) == decided(without)


def test_the_command_prints_a_line_a_claim(grid, capsys):
    assert main([str(grid)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(CLAIMS)
    assert main([str(grid / "nowhere")]) == 2
    assert "no such file or folder" in capsys.readouterr().err
    assert "analysis.claims" in sys.modules


def image_verdicts(folder):
    """{claim's number: verdict}."""
    return {f.claim.number: f.word for f in claims.verdicts(Study(load([folder])), draws=200)}


@pytest.fixture(scope="module")
def right(tmp_path_factory):
    return write_world(tmp_path_factory.mktemp("right"), True)


def test_a_world_of_images_in_which_the_paper_is_right(right):
    expected = {**dict.fromkeys(range(11, 18), "reproduced"), 18: "not measured"}  # each taught once
    assert image_verdicts(right) == expected


def test_a_world_of_images_in_which_the_paper_is_wrong(tmp_path):
    refuted = {n for n, verdict in image_verdicts(write_world(tmp_path, False)).items() if verdict == "not reproduced"}
    assert refuted == {11, 12, 13, 15, 16, 17}


def test_one_seed_of_images_proves_nothing(tmp_path):
    write_world(tmp_path, True, seeds=(1,))
    assert set(image_verdicts(tmp_path).values()) == {"inconclusive", "not measured"}
    lines = claims.cells(claims.verdicts(Study(load([tmp_path])), draws=20))
    assert [bool(line[5]) for line in lines[:3]] == [False, False, True]  # geometry is not resampled, ECE is


@pytest.mark.parametrize(("scaled", "verdict"), [(0.85, "reproduced"), (0.99, "not reproduced")])
def test_scale_and_erased_information_are_told_apart(tmp_path, scaled, verdict):
    """A smoothed teacher at T = 1 has worse students; with a temperature they stay worse, or do not."""
    for seed in (1, 2, 3):
        for amount, at in ((0.0, {1.0: 0.80, 2.0: 0.95}), (0.1, {1.0: 0.80, 2.0: scaled})):
            for t, accuracy in at.items():
                teacher = taught_by("resnet_8", amount, t)
                write_run(tmp_path, f"of_{amount}_{t}", seed, accuracy, 0.0, architecture="alexnet", teacher=teacher)
    found = image_verdicts(tmp_path)
    assert (found[16], found[18]) == ("reproduced", verdict)


@pytest.mark.parametrize(("kept", "missing"), [("teacher", {15, 16, 17, 18}), ("r", {11, 12, 13, 14, 15, 16, 18})])
def test_what_is_missing_is_not_measured(right, kept, missing):
    rows = load([right])
    chosen = [row for row in rows if row.record.run.startswith(kept)]
    chosen += [row for row in rows if kept == "r" and row.record.run == "student_0.0_s1"]
    found = claims.verdicts(Study(chosen), draws=20)
    assert {f.claim.number for f in found if f.word == "not measured"} == missing


def test_two_precisions_of_one_network_have_parts_of_their_own(tmp_path):
    """Smoothing calibrates one of them and not the other."""
    for precision, gaps in ((None, (0.04, 0.0)), ("bf16", (0.0, 0.04))):
        for seed in (1, 2, 3):
            for amount, gap in zip((0.0, 0.1), gaps, strict=True):
                write_run(tmp_path, f"{precision}_{amount}", seed, 0.9, gap, amount=amount, precision=precision)
    (verdict,) = [v for v in claims.verdicts(Study(load([tmp_path])), draws=50) if v.claim.number == 13]
    assert verdict.word == "not reproduced" and "bf16" in verdict.part


def test_students_of_several_betas_are_not_chosen_among_in_silence(tmp_path):
    for beta in (0.5, 1.0):
        for amount in (0.0, 0.1):
            teacher = taught_by("resnet_8", amount, 1.0, beta)
            write_run(tmp_path, f"of_{amount}_{beta}", 1, 0.9, 0.0, architecture="alexnet", teacher=teacher)
    (verdict,) = [v for v in claims.verdicts(Study(load([tmp_path])), draws=50) if v.claim.number == 16]
    assert verdict.word == "not measured" and "records of one model" in verdict.why
