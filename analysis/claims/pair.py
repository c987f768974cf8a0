"""A model without smoothing beside its smoothed one: the quantities of both, over the same training seeds."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from ..quantities import Quantity
from ..rows import Row, at_fitted, select
from ..study import Entry, Study
from .rule import Claim, Measured, Missing, NotTestable, Part, joined

BEAM = 5
"""The beam of the searches that claims are about."""
_CHECKED_MODES = ("forced", "beam")


class Pair:
    """A model without smoothing and its smoothed one, over the training seeds of which both are measured on the split
    that chooses and on the reported one. Quantities on the first are values of the records (seeds, 1), on the second
    vectors (seeds, draws + 1)."""

    def __init__(self, hard: Entry, smoothed: Entry, study: Study, draws: int) -> None:
        self._entries = {0.0: hard, 0.1: smoothed}
        self._reported, self.chosen_on, self._draws = study.split, study.chosen_on, draws
        if self._reported == self.chosen_on:
            raise Missing(f"a split that chose no temperature; {self._reported} did")
        self._known: dict[tuple[object, ...], np.ndarray] = {}
        measured = [
            {row.record.seed for row in entry.select(split=split) if row.record.mode in _CHECKED_MODES}
            for split in (self.chosen_on, self._reported)
            for entry in (hard, smoothed)
        ]
        # A run that is not yet measured on both splits does not count on either.
        self.seeds = sorted(seed for seed in set.intersection(*measured) if seed is not None)
        if not self.seeds:
            raise Missing(no_pair(study))

    def of_seeds(self, seeds: Sequence[int]) -> Pair:
        """The pair over some of its seeds; it shares what is known of their runs."""
        pair = copy.copy(self)
        pair.seeds = list(seeds)
        return pair

    def of_widest_grid(self) -> Pair:
        """The pair over the seeds whose runs were searched at the most temperatures."""
        of_each = {seed: self.of_seeds([seed]) for seed in self.seeds}
        n = {seed: len(pair.searched_temperatures()) for seed, pair in of_each.items()}
        return self.of_seeds([seed for seed in self.seeds if n[seed] == max(n.values())])

    def test(
        self,
        quantity: Quantity,
        alpha: float,
        temperature: float | str = 1.0,
        beam: int | None = None,
        lenpen: float = 1.0,
    ) -> np.ndarray:
        """A quantity on the reported split at a temperature, or "fitted"; in forced mode without a beam.

        A quantity whose items are not kept is the same in each resample, so that its interval counts seeds alone.
        """

        def of(row: Row) -> np.ndarray | None:
            value = quantity.of_record(row.record)
            if quantity.of_items is None:
                return None if value is None else np.full(self._draws + 1, value)
            return quantity.resampled(row, self._draws)

        return self._stacked(self._reported, quantity, of, (alpha, temperature, beam, lenpen))

    def valid(
        self,
        quantity: Quantity,
        alpha: float,
        temperature: float | str = 1.0,
        beam: int | None = None,
        lenpen: float = 1.0,
    ) -> np.ndarray:
        """The same on the split that chooses, without resamples."""

        def of(row: Row) -> np.ndarray | None:
            value = quantity.value(row)
            return None if value is None else np.array([value])

        return self._stacked(self.chosen_on, quantity, of, (alpha, temperature, beam, lenpen))

    def _stacked(
        self,
        split: str,
        quantity: Quantity,
        of_row: Callable[[Row], np.ndarray | None],
        place: tuple[float, float | str, int | None, float],
    ) -> np.ndarray:
        vectors = []
        for seed in self.seeds:
            key = (seed, split, quantity.name, *place)
            if key not in self._known:
                self._known[key] = self._of_run(seed, split, quantity, of_row, place)
            vectors.append(self._known[key])
        return np.stack(vectors)

    def _of_run(
        self,
        seed: int,
        split: str,
        quantity: Quantity,
        of_row: Callable[[Row], np.ndarray | None],
        place: tuple[float, float | str, int | None, float],
    ) -> np.ndarray:
        alpha, temperature, beam, lenpen = place
        rows = self._rows(split, alpha, seed, beam, lenpen)
        rows = at_fitted(rows) if temperature == "fitted" else select(rows, temperature=temperature)
        penalty = "" if lenpen == 1 else f", length penalty {lenpen:g}"
        what = f"{split}, alpha {alpha:g}, seed {seed}, {_mode(beam)}{beam or ''}{penalty}, T {temperature}"
        if not rows:
            raise Missing(what)
        vector = of_row(rows[-1])
        if vector is None:
            raise Missing(f"{what}: its {' and '.join(quantity.needs) or quantity.name}")
        return vector

    def _rows(self, split: str, alpha: float, seed: int, beam: int | None, lenpen: float = 1.0) -> list[Row]:
        rows = self._entries[alpha].select(split=split, seed=seed, mode=_mode(beam), beam=beam)
        rows = select(rows, search_precision=None)  # a search in half precision decides no claim
        return rows if beam is None else [row for row in rows if _length_penalty(row) == lenpen]

    def temperatures(self, split: str | None = None, beam: int | None = None) -> list[float]:
        """The temperatures that every run was measured at, on the reported split or another one."""
        cells = [
            self._rows(split or self._reported, alpha, seed, beam) for alpha in self._entries for seed in self.seeds
        ]
        common = sorted(set.intersection(*({row.record.temperature for row in rows} for rows in cells)))
        if len(common) < 2:
            raise Missing(f"{split or self._reported}: {_mode(beam)} at several temperatures")
        return common

    def searched_temperatures(self) -> list[float]:
        """The temperatures of searches with the usual beam on both splits."""
        return sorted({*self.temperatures(self.chosen_on, BEAM)} & {*self.temperatures(beam=BEAM)})

    def length_penalties(self) -> list[float]:
        """The length penalties of searches at T = 1 with the usual beam by every run on both splits."""
        cells = [
            {
                _length_penalty(row)
                for row in entry.select(split=split, seed=seed, mode="beam", beam=BEAM, temperature=1.0)
            }
            for split in (self.chosen_on, self._reported)
            for entry in self._entries.values()
            for seed in self.seeds
        ]
        return sorted(set.intersection(*cells))

    def best(self, quantity: Quantity, alpha: float, temperatures: Sequence[float], beam: int | None) -> float:
        """The temperature at which the mean of a quantity over seeds is best on the split that chooses."""
        return max(temperatures, key=lambda t: quantity.better * self.valid(quantity, alpha, t, beam).mean())


def no_pair(study: Study) -> str:
    """The records that are missing where a study has no pair, in words."""
    return f"runs of alpha 0 and 0.1 with the same seed on {study.chosen_on} and {study.split}"


def _length_penalty(row: Row) -> float:
    return 1.0 if row.record.lenpen is None else row.record.lenpen


def _mode(beam: int | None) -> str:
    return "forced" if beam is None else "beam"


class OfSeeds(Protocol):
    """The subject of a part, over some training seeds."""

    seeds: list[int]

    def of_seeds(self, seeds: Sequence[int]) -> OfSeeds:
        """The subject over some of its seeds."""
        ...


def of_measured_seeds(part: Part) -> Part:
    """The part over the seeds that have its records, which are named where they are not all."""

    def measure(subject: OfSeeds) -> Measured:
        try:
            return part.measure(subject)
        except Missing:
            known = [seed for seed in subject.seeds if _is_measured(part, subject.of_seeds([seed]))]
            if not known:
                raise
            return with_seeds(part.measure(subject.of_seeds(known)), known)

    return replace(part, measure=measure)


def _is_measured(part: Part, subject: OfSeeds) -> bool:
    try:
        part.measure(subject)
    except Missing:
        return False
    except NotTestable:
        pass
    return True


def with_seeds(measured: Measured, seeds: Sequence[int]) -> Measured:
    """The same with a note that names the seeds."""
    named = f"seeds {', '.join(map(str, seeds))}"
    return Measured(measured.vectors, joined(measured.note, named))


def claim_of_seeds(
    number: int,
    words: str,
    where: str,
    numbers: str,
    *parts: Part,
    subjects: Callable[[Any], Mapping[str, Any]] = lambda evidence: evidence.pairs,
) -> Claim:
    """A claim about each subject, by default each pair of the evidence, where each part counts the seeds that have its
    records."""
    return Claim(number, words, where, numbers, [of_measured_seeds(part) for part in parts], subjects)
