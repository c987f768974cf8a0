"""Records with made-up sums, for tests of the plumbing."""

import dataclasses

import numpy as np

from mt_ls.calibration.bins import Bins
from mt_ls.records.record import Measurement, append


def measurement(**changes):
    """A record of one model, with any fields changed."""
    base = Measurement(
        run="toy_a0.1_s1",
        mode="forced",
        split="test",
        temperature=1.0,
        bins=Bins.of([0.2, 0.9], [0, 1]),
        n_tokens=2,
        n_sentences=1,
        n_sentences_in_set=1,
        sha={"data": "d" * 64, "checkpoint": "c" * 64, "code": "e" * 40},
        versions={"mt_ls": "0.1.0"},
        corpus="toy",
        alpha=0.1,
        convention="paper",
        seed=1,
        nll=1.5,
    )
    return dataclasses.replace(base, **changes)


def write_activations(folder, alphas=(0.0, 0.1)):
    """Records of made-up activations before three pieces, with arrays beside them."""
    rng = np.random.default_rng(1)
    rank = np.repeat([0, 1, 2], 20)
    np.savez(folder / "plane.npz", plane_0=rng.normal(size=(60, 2)), plane_0_class=rank)
    names = (
        "variance_within",
        "variance_between",
        "distance_to_own",
        "spread_of_others",
        "nc1",
        "nc2_norms",
        "nc2_angles",
    )
    geometry = {**dict.fromkeys(names, 0.5), "planes": [["▁der", "▁die", "▁das"]]}
    for alpha in alphas:
        for split in ("train", "valid"):
            sha = {"data": "d" * 64, "checkpoint": f"{alpha}" * 20, "code": "e" * 40}
            record = measurement(
                run=f"toy_a{alpha}_s1",
                mode="penultimate",
                alpha=alpha,
                sha=sha,
                split=split,
                network="toy",
                geometry=geometry,
                arrays="plane.npz",
            )
            append(folder / "records.jsonl", record)


def write_records(folder, alphas=(0.0, 0.1), beam=True):
    """Records of made-up runs on valid and test at three temperatures, with arrays beside them."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for temperature in (0.8, 1.0, 1.2):
        np.savez(folder / f"x{temperature}.npz", sentence_bins=rng.random((20, 3, 15)))
    for alpha in alphas:
        for split in ("valid", "test"):
            for temperature in (0.8, 1.0, 1.2):
                confidence = rng.beta(3, 1, 2000)
                common = {
                    "run": f"toy_a{alpha}_s1",
                    "alpha": alpha,
                    "split": split,
                    "temperature": temperature,
                    "bins": Bins.of(confidence, rng.random(2000) < confidence),
                    "perplexity": 9.0,
                    "accuracy": 0.6,
                    "fitted_temperature": 1.2,
                    "arrays": f"x{temperature}.npz",
                    "sha": {"data": "d" * 64, "checkpoint": f"{alpha}" * 20, "code": "e" * 40},
                }
                append(folder / "records.jsonl", measurement(**common))
                if beam:
                    score = {"score": 20 + temperature, "signature": "x"}
                    classes = {"others": common["bins"], "eos": Bins.of([0.9, 0.7], [1, 0])}
                    append(
                        folder / "records.jsonl",
                        measurement(**common, mode="beam", beam=5, bleu=score, bins_by_class=classes, n_left_out=7),
                    )
