"""What the claims about images ask of records: quantities by training seed. All of a claim's runs share a seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from mt_ls.records import Smoothing

from ..quantities import Quantity, trace_ratio
from ..rows import Row, at_fitted, mean, select
from ..study import Entry, Study
from .rule import Claim, Missing, Part

BySeed = dict[int, np.ndarray]
"""A quantity by training seed: its value, then that on each resample."""


class Pair(NamedTuple):
    """A network without smoothing and the same network with it, and the evidence that has their quantities."""

    hard: Entry
    smoothed: Entry
    evidence: Evidence


class Evidence:
    """The quantities of a study of images, by training seed."""

    def __init__(self, study: Study, draws: int) -> None:
        self.study = study
        self._draws = draws
        self._known: dict[tuple[object, ...], BySeed] = {}

    def pairs(self, amount: float = 0.1) -> dict[str, Pair]:
        """Networks without smoothing beside the same network with this amount, by name: architecture, or label where
        several pairs have one architecture. Raises Missing if there is none."""
        pairs = [
            pair
            for pair in sorted(self.study.smoothed_by(amount), key=lambda pair: str(pair[0].model.architecture))
            if all(entry.select(mode="images", split=self.study.split, temperature=1.0) for entry in pair)
        ]
        if not pairs:
            raise Missing(f"runs of one network with alpha 0 and {amount:g}")
        architectures = [hard.model.architecture for hard, _ in pairs]
        return {
            hard.label if architectures.count(hard.model.architecture) > 1 else str(hard.model.architecture): Pair(
                hard, smoothed, self
            )
            for hard, smoothed in pairs
        }

    def resampled(self, quantity: Quantity, entries: Iterable[Entry], temperature: float | str = 1.0) -> BySeed:
        """A quantity on the reported images at a temperature, or "fitted". Raises Missing if none is measured."""
        entries = list(entries)
        key = (quantity.name, *(entry.label for entry in entries), temperature)
        if key not in self._known:
            self._known[key] = self._resampled(quantity, entries, temperature)
        return self._known[key]

    def _resampled(self, quantity: Quantity, entries: list[Entry], temperature: float | str) -> BySeed:
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

    def chosen(self, quantity: Quantity, entry: Entry) -> float:
        """The mean of a quantity at T = 1 on the split that chooses. Raises Missing if it is not measured."""
        rows = entry.select(mode="images", split=self.study.chosen_on, temperature=1.0)
        value = mean(quantity.value(row) for row in rows)
        if value is None:
            raise Missing(f"{quantity.name} on {self.study.chosen_on} of {entry.label}")
        return value

    def geometry(self, field: str, entry: Entry, split: str) -> BySeed:
        """A number of the geometry of activations, which is not resampled. Raises Missing if it is not measured."""
        numbers = {
            row.record.seed or 0: _with_ratio(row.record.geometry)
            for row in entry.select(mode="images", split=split, temperature=1.0)
            if row.record.geometry
        }
        values = {seed: np.full(self._draws + 1, of[field]) for seed, of in numbers.items() if field in of}
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

    def of_information(self, alpha: float) -> list[Entry]:
        """The networks with this smoothing that learnt from labels."""
        return [entry for entry in self.study.untaught if entry.amount == alpha and entry.is_plain]

    def information(self, alpha: float) -> BySeed:
        """Mutual information (nats) after each epoch, by seed. Raises Missing if it was not recorded."""
        curves: BySeed = {}
        entries = self.of_information(alpha)
        for entry in entries:
            for seed, points in entry.information.items():
                _add(curves, seed, np.array([nats for _, nats in points]), entries)
        if not curves:
            raise Missing(f"mutual information during the training with alpha {alpha:g}")
        return curves


def _with_ratio(geometry: Mapping[str, float]) -> dict[str, float]:
    """A record's geometry with the ratio of the variances within and between classes."""
    ratio = trace_ratio(geometry)
    return {**geometry} if ratio is None else {**geometry, "variance_ratio": ratio}


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


def of_all(number: int, words: str, where: str, numbers: str, *parts: Part) -> Claim:
    """A claim about all networks of the study together."""
    return Claim(number, words, where, numbers, parts, lambda evidence: {"": evidence})
