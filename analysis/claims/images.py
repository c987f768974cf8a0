"""The claims about images: the paper's sections 2, 3 and 4. All of a claim's runs share a training seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from mt_ls.records import Smoothing

from .. import paper
from ..quantities import ACCURACY, ECE, Quantity
from ..rows import Row, at_fitted, mean, select
from ..study import Entry, Study
from .rule import Claim, Missing, Parts

BySeed = dict[int, np.ndarray]
"""A quantity by training seed: its value, then that on each resample."""


class Evidence:
    """The quantities of a study of images, by training seed."""

    def __init__(self, study: Study, draws: int) -> None:
        self.study = study
        self._draws = draws

    @property
    def pairs(self) -> list[tuple[Entry, Entry]]:
        """Networks without smoothing beside the same network with 0.1. Raises Missing if there is none."""
        pairs = [
            pair
            for pair in sorted(self.study.pairs, key=lambda pair: str(pair[0].model.architecture))
            if all(entry.select(mode="images", split=self.study.split, temperature=1.0) for entry in pair)
        ]
        if not pairs:
            raise Missing("runs of one network with alpha 0 and 0.1")
        return pairs

    def name(self, hard: Entry) -> str:
        """The name of a pair in its parts: its architecture, or its label where several pairs have that."""
        same = [pair for pair in self.pairs if pair[0].model.architecture == hard.model.architecture]
        return str(hard.model.architecture) if len(same) == 1 else hard.label

    def resampled(self, quantity: Quantity, entries: Iterable[Entry], temperature: float | str = 1.0) -> BySeed:
        """A quantity on the reported images at a temperature, or "fitted". Raises Missing if none is measured."""
        entries = list(entries)
        vectors: BySeed = {}
        for entry in entries:
            for row in _at(entry.select(mode="images", split=self.study.split), temperature):
                vector = quantity.resampled(row, self._draws)
                if vector is not None:
                    _add(vectors, row.record.seed or 0, vector, entries)
        if not vectors:
            labels = ", ".join(entry.label for entry in entries) or "any network"
            raise Missing(f"{quantity.name} on {self.study.split} at T {temperature} of {labels}")
        return vectors

    def geometry(self, field: str, entry: Entry, split: str) -> BySeed:
        """A number of the geometry of activations, which is not resampled. Raises Missing if it is not measured."""
        values = {
            row.record.seed or 0: np.full(self._draws + 1, row.record.geometry[field])
            for row in entry.select(mode="images", split=split, temperature=1.0)
            if row.record.geometry and field in row.record.geometry
        }
        if not values:
            raise Missing(f"{field} on {split} of {entry.label}")
        return values

    def taught_by(self, alpha: float) -> dict[float | None, list[Entry]]:
        """The students of the teachers with this smoothing, by the temperature that taught, None for logits.

        Raises Missing if there are none.
        """
        students: dict[float | None, list[Entry]] = {}
        for entry in self.study.entries:
            teacher = entry.model.teacher
            if teacher is not None and teacher.smoothing == Smoothing(amount=alpha):
                students.setdefault(teacher.temperature, []).append(entry)
        if not students:
            raise Missing(f"students of a teacher with alpha {alpha:g}")
        return students

    def teachers(self, alpha: float) -> list[Entry]:
        """The networks that taught with this smoothing: on MNIST that without has dropout instead."""
        names = {
            entry.model.teacher.architecture
            for students in self.taught_by(alpha).values()
            for entry in students
            if entry.model.teacher
        }
        if len(names) != 1:
            raise Missing(f"students of one kind of teacher with alpha {alpha:g}")
        return [e for e in self.study.untaught if e.model.architecture in names and e.amount == alpha and e.is_plain]

    def information(self, alpha: float) -> BySeed:
        """Mutual information (nats) after each epoch, by seed. Raises Missing if it was not recorded."""
        curves: BySeed = {}
        entries = [entry for entry in self.study.untaught if entry.amount == alpha and entry.is_plain]
        for entry in entries:
            for seed, points in entry.information.items():
                _add(curves, seed, np.array([nats for _, nats in points]), entries)
        if not curves:
            raise Missing(f"mutual information during the training with alpha {alpha:g}")
        return curves


def _add(values: BySeed, seed: int, value: np.ndarray, entries: Iterable[Entry]) -> None:
    """Add the value of a seed. Raises Missing for a second one: of several models none is chosen in silence."""
    if seed in values:
        raise Missing(f"records of one model; there are {', '.join(entry.label for entry in entries)}")
    values[seed] = value


def _at(rows: list[Row], temperature: float | str) -> list[Row]:
    return at_fitted(rows) if temperature == "fitted" else select(rows, temperature=temperature)


def common_seeds(*quantities: BySeed) -> list[np.ndarray]:
    """Each as (seeds, draws + 1) over the seeds that all have. Raises Missing if there is none."""
    seeds = sorted(set.intersection(*(set(quantity) for quantity in quantities)))
    if not seeds:
        raise Missing("runs with a common seed")
    return [np.stack([quantity[seed] for seed in seeds]) for quantity in quantities]


def _lower_with_smoothing(evidence: Evidence, field: str, split: str) -> Parts:
    parts = {}
    for pair in evidence.pairs:
        hard, smoothed = common_seeds(*(evidence.geometry(field, entry, split) for entry in pair))
        parts[f"{field}(0) - {field}(0.1), {evidence.name(pair[0])}, {split}"] = hard - smoothed
    return parts


def _tighter(evidence: Evidence) -> Parts:
    return {**_lower_with_smoothing(evidence, "nc1", "train"), **_lower_with_smoothing(evidence, "nc1", "valid")}


def _equidistant(evidence: Evidence) -> Parts:
    return _lower_with_smoothing(evidence, "spread_of_others", "train")


def _calibrates(evidence: Evidence) -> Parts:
    parts = {}
    for pair in evidence.pairs:
        hard, smoothed = common_seeds(*(evidence.resampled(ECE, [entry]) for entry in pair))
        parts[f"ece(0) - ece(0.1), {evidence.name(pair[0])}, {evidence.study.split}"] = hard - smoothed
    return parts


def _temperature_does_as_well(evidence: Evidence) -> Parts:
    parts = {}
    for hard_entry, smoothed_entry in evidence.pairs:
        hard, scaled, smoothed = common_seeds(
            evidence.resampled(ECE, [hard_entry]),
            evidence.resampled(ECE, [hard_entry], "fitted"),
            evidence.resampled(ECE, [smoothed_entry]),
        )
        name, margin = evidence.name(hard_entry), paper.NOISE_FLOOR
        parts[f"ECE(0) - ECE(0, fitted T), {name}"] = hard - scaled
        parts[f"{margin} - (ECE(0, fitted T) - ECE(0.1)), {name}"] = margin - (scaled - smoothed)
    return parts


def _better_teachers(evidence: Evidence) -> Parts:
    hard, smoothed = common_seeds(*(evidence.resampled(ACCURACY, evidence.teachers(alpha)) for alpha in (0.0, 0.1)))
    return {"accuracy(0.1) - accuracy(0) of the teachers": smoothed - hard}


def _best(evidence: Evidence, students: dict[float | None, list[Entry]]) -> BySeed:
    """Accuracy of the students that were taught at the temperature which is best on valid."""
    means = {
        temperature: mean(
            row.record.bins.accuracy
            for entry in entries
            for row in entry.select(mode="images", split="valid", temperature=1.0)
        )
        for temperature, entries in students.items()
    }
    known = {temperature: value for temperature, value in means.items() if value is not None}
    if not known:
        raise Missing("students measured on valid")
    return evidence.resampled(ACCURACY, students[max(known, key=lambda temperature: known[temperature])])


def _worse_students(evidence: Evidence) -> Parts:
    """The best student of the hard teacher against that of the teacher smoothed by 0.1, which teaches at T = 1 or by
    its logits."""
    as_it_is = {t: entries for t, entries in evidence.taught_by(0.1).items() if t in (None, 1.0)}
    if not as_it_is:
        raise Missing("students of a teacher with alpha 0.1 at T = 1, or of its logits")
    hard, smoothed = common_seeds(_best(evidence, evidence.taught_by(0.0)), _best(evidence, as_it_is))
    return {"accuracy of a hard teacher's student - of a smoothed one's": hard - smoothed}


def _no_temperature_mends(evidence: Evidence) -> Parts:
    """The best student of each teacher over the temperatures that it taught at.

    A temperature gives back the scale of the logits that smoothing took, not what it erased.
    """
    students = evidence.taught_by(0.1)
    if len(students) < 2:
        raise Missing("students of a teacher with alpha 0.1 at several temperatures")
    hard, smoothed = common_seeds(_best(evidence, evidence.taught_by(0.0)), _best(evidence, students))
    return {"accuracy of a hard teacher's student - of a smoothed one's, each at its best T": hard - smoothed}


def _information_falls(evidence: Evidence) -> Parts:
    """After its greatest value information falls, more with smoothing; and at the end it is above log 2."""
    hard, smoothed = evidence.information(0.0), evidence.information(0.1)
    seeds = sorted(hard.keys() & smoothed.keys())
    if not seeds:
        raise Missing("mutual information of runs with a common seed")

    def over_seeds(value: Callable[[int], float]) -> np.ndarray:
        return np.repeat(np.array([value(seed) for seed in seeds])[:, None], 3, axis=1)

    def fall(curve: np.ndarray) -> float:
        return curve.max() - curve[-1]

    return {
        "fall with 0.1, nats": over_seeds(lambda s: fall(smoothed[s])),
        "fall with 0.1 - fall with 0, nats": over_seeds(lambda s: fall(smoothed[s]) - fall(hard[s])),
        "information with 0.1 at the end - log 2, nats": over_seeds(lambda s: smoothed[s][-1] - np.log(2)),
    }


def _ece_to(row: tuple[str, ...]) -> str:
    return f"{row[1]} to {row[3].split(' / ')[0]}"


def _ece_and(row: tuple[str, ...]) -> str:
    return f"{row[2].split(' / ')[0]} and {row[3].split(' / ')[0]}"


_CIFAR100, _IMAGENET = paper.CALIBRATION_IMAGES
_ERRORS = list(paper.MNIST_ERRORS.values())
CLAIMS = (
    Claim(11, "Smoothing makes clusters of penultimate activations tighter", "Fig. 1", "only drawn", "NC1", _tighter),
    Claim(
        12,
        "With smoothing activations keep equal distances to the other classes' templates",
        "section 2",
        "only drawn",
        "relative deviation",
        _equidistant,
    ),
    Claim(
        13,
        "Smoothing 0.1 lowers the ECE of image classifiers",
        "Table 3, Fig. 2",
        f"{_ece_to(_CIFAR100)}, {_ece_to(_IMAGENET)}",
        "ECE",
        _calibrates,
    ),
    Claim(
        14,
        "A fitted temperature lowers the baseline's ECE as far as smoothing does",
        "Table 3",
        f"{_ece_and(_CIFAR100)}, {_ece_and(_IMAGENET)}",
        "ECE",
        _temperature_does_as_well,
    ),
    Claim(
        15,
        "Smoothed teachers are more accurate",
        "section 4",
        f"MNIST error {_ERRORS[0]} to {_ERRORS[1]} %",
        "accuracy",
        _better_teachers,
    ),
    Claim(
        16,
        "And their students are less accurate",
        "section 4, Fig. 5",
        f"MNIST error {_ERRORS[2]} to {_ERRORS[3]} %",
        "accuracy",
        _worse_students,
    ),
    Claim(
        17,
        "Information about the input falls during training, more with smoothing, towards log 2",
        "Fig. 6",
        "only drawn",
        "nats",
        _information_falls,
    ),
    Claim(
        18,
        "At its best temperature, too, a smoothed teacher's students are less accurate",
        "beyond section 4",
        "not in this paper",
        "accuracy",
        _no_temperature_mends,
    ),
)
