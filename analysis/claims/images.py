"""The claims about images but those about teachers: clusters, calibration, information (sections 2 and 3, Figure 6)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .. import paper, significance
from ..collapsed import collapsed_information
from ..quantities import ECE
from .image_evidence import BySeed, Evidence, Pair, common_seeds, of_all
from .rule import Claim, Measured, Missing, Part, PremiseNotMet


def _geometry(field: str, split: str, sign: int = -1) -> Callable[[Pair], Measured]:
    """How much smoothing changes a number of the geometry for the better: less of it, or with ``sign`` +1 more."""

    def measure(pair: Pair) -> Measured:
        entries = pair.hard, pair.smoothed
        hard, smoothed = common_seeds(*(pair.evidence.geometry(field, entry, split) for entry in entries))
        return Measured(sign * (smoothed - hard))

    return measure


def _ece_of(pair: Pair) -> tuple[BySeed, BySeed, BySeed]:
    """ECE of the hard network at T = 1 and at its fitted temperature, and of the smoothed one."""
    of = pair.evidence.resampled
    return of(ECE, [pair.hard]), of(ECE, [pair.hard], "fitted"), of(ECE, [pair.smoothed])


def _calibrates(pair: Pair) -> Measured:
    hard, _, smoothed = common_seeds(*_ece_of(pair))
    return Measured(hard - smoothed)


def _temperature_calibrates(pair: Pair) -> Measured:
    hard, scaled, _ = common_seeds(*_ece_of(pair))
    return Measured(hard - scaled)


def _temperature_does_as_well(pair: Pair) -> Measured:
    hard, scaled, smoothed = common_seeds(*_ece_of(pair))
    if significance.estimate(hard - smoothed).interval()[0] <= 0:
        raise PremiseNotMet("smoothing 0.1 is not seen to lower the ECE")
    return Measured(smoothed - scaled)


def _over_seeds(value: Callable[[np.ndarray, np.ndarray], float]) -> Callable[[Evidence], Measured]:
    """A number of the curves of mutual information without smoothing and with it, of each common seed."""

    def measure(evidence: Evidence) -> Measured:
        hard, smoothed = evidence.information(0.0), evidence.information(0.1)
        seeds = sorted(hard.keys() & smoothed.keys())
        if not seeds:
            raise Missing("mutual information of runs with a common seed")
        values = np.array([value(hard[seed], smoothed[seed]) for seed in seeds])
        return Measured(np.repeat(values[:, np.newaxis], 3, axis=1))

    return measure


def _fall(curve: np.ndarray) -> float:
    return float(curve.max() - curve[-1])


def _ends_collapsed(evidence: Evidence) -> Measured:
    """The end of the smoothed networks' curves less the estimate for two collapsed clusters of as many images."""
    rows = [row.record for e in evidence.of_information(0.1) for row in e.select(mode="information")]
    if not rows:
        raise Missing("mutual information during the training with alpha 0.1")
    samples = (rows[0].mutual_information or {}).get("samples", 0)
    try:
        floor = collapsed_information(rows[0].n_sentences, samples, reused=False)
    except ValueError as error:
        raise Missing(str(error)) from None
    measured = _over_seeds(lambda _, smoothed: float(smoothed[-1]) - floor.mean)(evidence)
    return Measured(
        measured.vectors, f"collapsed: {floor.mean:.3f} (95 % of simulations {floor.low:.3f} to {floor.high:.3f})"
    )


def _ece_to(row: tuple[str, ...]) -> str:
    return f"{row[1]} to {row[3].split(' / ')[0]} with alpha {row[3].split(' / ')[1]}"


def _ece_and(row: tuple[str, ...]) -> str:
    return f"{row[2].split(' / ')[0]} and {row[3].split(' / ')[0]}"


def _of_either_amount(evidence: Evidence) -> dict[str, Pair]:
    """The pairs with smoothing 0.1, and those with 0.05, the paper's amount on CIFAR-100, by network and amount."""
    pairs: dict[str, Pair] = {}
    missing = None
    for amount in (0.05, 0.1):
        try:
            pairs |= {f"{name}, alpha {amount:g}": pair for name, pair in evidence.pairs(amount).items()}
        except Missing as reason:
            missing = reason
    if not pairs and missing is not None:
        raise missing
    return pairs


def _of_pairs(number: int, words: str, where: str, numbers: str, *parts: Part) -> Claim:
    return Claim(number, words, where, numbers, parts, lambda evidence: evidence.pairs())


_CIFAR100, _IMAGENET = paper.CALIBRATION_IMAGES
CLAIMS = (
    _of_pairs(
        11,
        "Smoothing makes clusters of penultimate activations tighter",
        "Fig. 1",
        "only drawn",
        Part("NC1(0) - NC1(0.1), train", "NC1", _geometry("nc1", "train")),
        Part("the same on valid", "NC1", _geometry("nc1", "valid")),
        Part("variance within / between, (0) - (0.1), train", "ratio", _geometry("variance_ratio", "train")),
        Part("the same on valid", "ratio", _geometry("variance_ratio", "valid")),
        Part("R² of classes (0.1) - (0), train", "R²", _geometry("class_separation", "train", 1)),
    ),
    _of_pairs(
        12,
        "With smoothing activations keep equal distances to the other classes' templates",
        "section 2",
        "only drawn",
        Part("relative deviation of distances (0) - (0.1), train", "ratio", _geometry("spread_of_others", "train")),
        Part("the same of wrong logits, without scale", "ratio", _geometry("spread_of_wrong_logits", "train")),
        Part("irregularity of class triangles (0) - (0.1), train", "ratio", _geometry("triangle_projected", "train")),
    ),
    Claim(
        13,
        "Smoothing lowers the ECE of image classifiers",
        "Table 3, Fig. 2",
        f"{_ece_to(_CIFAR100)}, {_ece_to(_IMAGENET)}",
        (Part("ECE(0) - ECE(alpha)", "ECE", _calibrates),),
        _of_either_amount,
    ),
    _of_pairs(
        14,
        "A fitted temperature lowers the baseline's ECE as far as smoothing does",
        "Table 3",
        f"{_ece_and(_CIFAR100)}, {_ece_and(_IMAGENET)}",
        Part("ECE(0) - ECE(0, fitted T)", "ECE", _temperature_calibrates),
        Part("ECE(0.1) - ECE(0, fitted T)", "ECE", _temperature_does_as_well, "no worse"),
    ),
    of_all(
        17,
        "Information about the input rises, then falls during training, more with smoothing, towards log 2",
        "Fig. 6",
        "only drawn",
        Part("rise with 0.1: greatest - first", "nats", _over_seeds(lambda _, curve: float(curve.max() - curve[0]))),
        Part("fall with 0.1: greatest - last", "nats", _over_seeds(lambda _, curve: _fall(curve))),
        Part("fall with 0.1 - fall with 0", "nats", _over_seeds(lambda hard, curve: _fall(curve) - _fall(hard))),
        Part("last with 0.1 - that of two collapsed clusters", "nats", _ends_collapsed, "same"),
    ),
)
