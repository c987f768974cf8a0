"""Verdicts on made-up runs on images whose truth is known."""

import pytest
from builders import taught_by
from image_worlds import write_run, write_world

from analysis import claims
from analysis.rows import load
from analysis.study import Study


def verdicts(folder):
    """{claim's number: verdict}."""
    return {f.claim.number: f.verdict for f in claims.findings(Study(load([folder])), draws=200)}


@pytest.fixture(scope="module")
def right(tmp_path_factory):
    return write_world(tmp_path_factory.mktemp("right"), True)


def test_a_world_in_which_the_paper_is_right(right):
    expected = {**dict.fromkeys(range(11, 18), "reproduced"), 18: "not measured"}  # each taught once
    assert verdicts(right) == expected


def test_a_world_in_which_the_paper_is_wrong(tmp_path):
    refuted = {n for n, verdict in verdicts(write_world(tmp_path, False)).items() if verdict == "not reproduced"}
    assert refuted == {11, 12, 13, 15, 16, 17}


def test_one_seed_proves_nothing(tmp_path):
    write_world(tmp_path, True, seeds=(1,))
    assert set(verdicts(tmp_path).values()) == {"inconclusive", "not measured"}
    lines = claims.cells(claims.findings(Study(load([tmp_path])), draws=20))
    assert [bool(line[5]) for line in lines[:3]] == [False, False, True]  # geometry is not resampled, ECE is


@pytest.mark.parametrize(("scaled", "verdict"), [(0.85, "reproduced"), (0.99, "not reproduced")])
def test_scale_and_erased_information_are_told_apart(tmp_path, scaled, verdict):
    """A smoothed teacher at T = 1 has worse students; with a temperature they stay worse, or do not."""
    for seed in (1, 2, 3):
        for amount, at in ((0.0, {1.0: 0.80, 2.0: 0.95}), (0.1, {1.0: 0.80, 2.0: scaled})):
            for t, accuracy in at.items():
                teacher = taught_by("resnet_8", amount, t)
                write_run(tmp_path, f"of_{amount}_{t}", seed, accuracy, 0.0, architecture="alexnet", teacher=teacher)
    found = verdicts(tmp_path)
    assert (found[16], found[18]) == ("reproduced", verdict)


@pytest.mark.parametrize(("kept", "missing"), [("teacher", {15, 16, 17, 18}), ("r", {11, 12, 13, 14, 15, 16, 18})])
def test_what_is_missing_is_not_measured(right, kept, missing):
    rows = load([right])
    chosen = [row for row in rows if row.record.run.startswith(kept)]
    chosen += [row for row in rows if kept == "r" and row.record.run == "student_0.0_s1"]
    found = claims.findings(Study(chosen), draws=20)
    assert {f.claim.number for f in found if f.verdict == "not measured"} == missing
