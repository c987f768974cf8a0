"""Made-up studies of images whose truth is known."""

import numpy as np
from builders import record, taught_by, teacher_run, write

from mt_ls.calibration.bins import Bins

N = 2000
GEOMETRY = {"nc1": 1.0, "spread_of_others": 0.2}


def write_run(folder, name, seed, accuracy, gap, architecture="mlp_1200", amount=0.0, teacher=None, tightness=1.0):
    """A run right on ``accuracy`` of the images and ``gap`` too sure of it, calibrated at T = 2."""
    rng = np.random.default_rng(seed)
    for split in ("train", "valid", "test"):
        for t, error in ((1.0, gap), (2.0, 0.0)):
            hits = rng.random(N) < accuracy
            confidence = np.full(N, accuracy + error)
            bins = np.zeros((N, 3, 15))
            place = np.minimum((confidence * 15).astype(int), 14)
            bins[np.arange(N), :, place] = np.column_stack((np.ones(N), confidence, hits))
            summed = Bins.from_sums(bins.sum(0))
            values = {key: value * tightness for key, value in GEOMETRY.items()}
            of = record(
                amount,
                run=f"{name}_s{seed}",
                mode="images",
                split=split,
                temperature=t,
                architecture=architecture,
                seed=seed,
                bins=summed,
                teacher=teacher,
                teacher_run=None if teacher is None else teacher_run(None),
                accuracy=summed.accuracy,
                fitted_temperature=2.0,
                fitted_on="valid",
                geometry=values if t == 1 and split != "test" else None,
            )
            write(folder, of, **({"bins": bins} if split == "test" else {}))


def write_information(folder, name, seed, amount, values):
    for update, nats in enumerate(values):
        of = record(
            amount,
            run=f"{name}_s{seed}",
            mode="information",
            split="train",
            architecture="resnet_8",
            seed=seed,
            updates=update,
            mutual_information={"nats": nats, "classes": ["a", "b"], "samples": 5},
            sha={"data": "d" * 64, "checkpoint": f"{name}{seed}{update}" * 9, "code": "e" * 40},
        )
        write(folder, of)


def write_world(folder, paper_is_right, seeds=(1, 2, 3)):
    """Teachers, students and trainings in which the paper is right in everything, or wrong in nearly everything."""
    good, bad = (0.95, 0.85) if paper_is_right else (0.85, 0.95)
    for seed in seeds:
        gaps, tightness = ((0.04, 0.0), (1.0, 0.3)) if paper_is_right else ((0.0, 0.04), (0.3, 1.0))
        for amount, accuracy, gap, tight in zip((0.0, 0.1), (bad, good), gaps, tightness, strict=True):
            wobble = 1 + 0.01 * seed
            write_run(folder, f"teacher_{amount}", seed, accuracy, gap, amount=amount, tightness=tight * wobble)
            student = good if amount == 0 else bad
            teacher = taught_by("mlp_1200", amount, None)
            write_run(folder, f"student_{amount}", seed, student, 0.0, architecture="mlp_800", teacher=teacher)
        falling, staying = [1.0, 4.0 + 0.01 * seed, 0.9], [1.0, 4.0, 3.5]
        hard, smoothed = (staying, falling) if paper_is_right else (falling, staying)
        write_information(folder, "r0", seed, 0.0, hard)
        write_information(folder, "r1", seed, 0.1, smoothed)
    return folder
