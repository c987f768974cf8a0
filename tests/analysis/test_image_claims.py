"""Verdicts on made-up runs whose truth is known."""

import numpy as np
import pytest
from builders import measurement

from analysis import rows as table
from analysis.claims import __main__ as claims
from mt_ls.calibration.bins import Bins
from mt_ls.records.record import append

N = 2000
GEOMETRY = {"nc1": 1.0, "spread_of_others": 0.2}


def _run(folder, name, seed, accuracy, gap, network="mlp_1200", alpha=0.0, teacher=None, tightness=1.0):
    """A run right on ``accuracy`` of the images and ``gap`` too sure of it, calibrated at T = 2."""
    rng = np.random.default_rng(seed)
    for split in ("train", "valid", "test"):
        for t, error in ((1.0, gap), (2.0, 0.0)):
            hits = rng.random(N) < accuracy
            confidence = np.full(N, accuracy + error)
            bins = np.zeros((N, 3, 15))
            place = np.minimum((confidence * 15).astype(int), 14)
            bins[np.arange(N), :, place] = np.column_stack((np.ones(N), confidence, hits))
            arrays = f"{name}_{seed}_{split}_{t}.npz"
            np.savez(folder / arrays, sentence_bins=bins, sentence_nll=np.ones(N))
            geometry = (
                {key: value * tightness for key, value in GEOMETRY.items()} if t == 1 and split != "test" else None
            )
            append(
                folder / "records.jsonl",
                measurement(
                    run=f"{name}_s{seed}",
                    mode="images",
                    split=split,
                    temperature=t,
                    corpus="toy",
                    network=network,
                    alpha=alpha,
                    seed=seed,
                    bins=(summed := Bins.from_sums(bins.sum(0))),
                    teacher=teacher,
                    arrays=arrays,
                    accuracy=summed.accuracy,
                    fitted_temperature=2.0,
                    fitted_on="valid",
                    geometry=geometry,
                    sha={"data": "d" * 64, "checkpoint": f"{name}{seed}" * 9, "code": "e" * 40},
                ),
            )


def _information(folder, name, seed, alpha, values):
    for update, nats in enumerate(values):
        append(
            folder / "records.jsonl",
            measurement(
                run=f"{name}_s{seed}",
                mode="information",
                split="train",
                corpus="toy",
                network="resnet_8",
                alpha=alpha,
                seed=seed,
                updates=update,
                mutual_information={"nats": nats, "classes": ["a", "b"], "samples": 5},
                sha={"data": "d" * 64, "checkpoint": f"{name}{seed}{update}" * 9, "code": "e" * 40},
            ),
        )


def _world(folder, paper_is_right, seeds=(1, 2, 3)):
    folder.mkdir()
    good, bad = (0.95, 0.85) if paper_is_right else (0.85, 0.95)
    for seed in seeds:
        gaps, tightness = ((0.04, 0.0), (1.0, 0.3)) if paper_is_right else ((0.0, 0.04), (0.3, 1.0))
        for alpha, accuracy, gap, tight in zip((0.0, 0.1), (bad, good), gaps, tightness, strict=True):
            wobble = 1 + 0.01 * seed
            _run(folder, f"teacher_{alpha}", seed, accuracy, gap, alpha=alpha, tightness=tight * wobble)
            taught = {"network": "mlp_1200", "alpha": alpha, "temperature": None}
            student = good if alpha == 0 else bad
            _run(folder, f"student_{alpha}", seed, student, 0.0, network="mlp_800", teacher=taught)
        falling, staying = [1.0, 4.0 + 0.01 * seed, 0.9], [1.0, 4.0, 3.5]
        hard, smooth = (staying, falling) if paper_is_right else (falling, staying)
        _information(folder, "r0", seed, 0.0, hard)
        _information(folder, "r1", seed, 0.1, smooth)
    return folder


def _verdicts(folder):
    return {f.claim.number: f.verdict for f in claims.findings(table.load([folder]), draws=200)}


def test_a_world_in_which_the_paper_is_right(tmp_path):
    found = _verdicts(_world(tmp_path / "runs", True))
    assert found == {**dict.fromkeys(range(11, 18), "reproduced"), 18: "not measured"}  # each taught once


def test_a_world_in_which_the_paper_is_wrong(tmp_path):
    found = _verdicts(_world(tmp_path / "runs", False))
    assert {number for number, verdict in found.items() if verdict == "not reproduced"} == {11, 12, 13, 15, 16, 17}


def test_one_seed_proves_nothing(tmp_path):
    assert set(_verdicts(_world(tmp_path / "runs", True, seeds=(1,))).values()) == {"inconclusive", "not measured"}
    lines = claims.cells(claims.findings(table.load([tmp_path / "runs"]), draws=20))
    assert [bool(line[5]) for line in lines[:3]] == [False, False, True]  # geometry is not resampled, ECE is


@pytest.mark.parametrize(("scaled", "verdict"), [(0.85, "reproduced"), (0.99, "not reproduced")])
def test_scale_and_erased_information_are_told_apart(tmp_path, scaled, verdict):
    """A smoothed teacher at T = 1 has worse students; with a temperature they stay worse, or do not."""
    for seed in (1, 2, 3):
        for alpha, at in ((0.0, {1.0: 0.80, 2.0: 0.95}), (0.1, {1.0: 0.80, 2.0: scaled})):
            for t, accuracy in at.items():
                taught = {"network": "resnet_8", "alpha": alpha, "temperature": t}
                _run(tmp_path, f"of_{alpha}_{t}", seed, accuracy, 0.0, network="alexnet", teacher=taught)
    found = _verdicts(tmp_path)
    assert (found[16], found[18]) == ("reproduced", verdict)


@pytest.mark.parametrize(("kept", "missing"), [("teacher", {15, 16, 17, 18}), ("r", {11, 12, 13, 14, 15, 16, 18})])
def test_what_is_missing_is_not_measured(tmp_path, kept, missing):
    rows = [row for row in table.load([_world(tmp_path / "runs", True)]) if row.record.run.startswith(kept)]
    rows += [row for row in table.load([tmp_path / "runs"]) if kept == "r" and row.record.run == "student_0.0_s1"]
    found = {f.claim.number for f in claims.findings(rows, draws=20) if f.verdict == "not measured"}
    assert found == missing
