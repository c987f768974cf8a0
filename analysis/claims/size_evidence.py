"""Models of several sizes of data, vocabularies and widths, from records: the evidence of `analysis.claims.sizes`."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .. import significance
from ..labels import spaced
from ..quantities import ECE, Quantity
from ..study import LITERARY, Entry, Study, family
from .pair import Pair, no_pair
from .rule import Missing

_TURNS = np.arange(3.0, 7.005, 0.01)
"""log10 of the sizes among which a turn is looked for."""
_WIDTHS = {
    "transformer_mt_ls_mini": 128,
    "transformer_mt_ls_mini_narrow": 64,
    "transformer_mt_ls_small": 128,
    "transformer_iwslt_de_en": 512,
}
"""The widths of the architectures that the recipe compares."""


class Sizes:
    """Pairs of models that differ in their number of training pairs, by that number, over the seeds that all have."""

    def __init__(self, pairs: Mapping[int, Pair]) -> None:
        self._pairs = dict(pairs)
        self.seeds = sorted(set.intersection(*(set(pair.seeds) for pair in pairs.values())))

    @property
    def sizes(self) -> list[int]:
        """The numbers of training pairs, in order."""
        return list(self._pairs)

    def of_seeds(self, seeds: Sequence[int]) -> Sizes:
        """The same over some of the seeds."""
        return Sizes({size: pair.of_seeds(seeds) for size, pair in self._pairs.items()})

    def of_each(self, measure: Callable[[Pair], np.ndarray]) -> np.ndarray:
        """The vectors (sizes, seeds, draws + 1) of a measure of a pair."""
        return np.stack([measure(pair.of_seeds(self.seeds)) for pair in self._pairs.values()])

    @cached_property
    def _x(self) -> np.ndarray:
        return np.log10(self.sizes)

    def slope(self, vectors: np.ndarray) -> np.ndarray:
        """The slopes (seeds, draws + 1) over log10 of the size, by least squares."""
        centred = self._x - self._x.mean()
        return np.tensordot(centred / (centred**2).sum(), vectors, axes=1)

    def line(self, vectors: np.ndarray, at: float) -> np.ndarray:
        """The values (seeds, draws + 1) of the line through vectors (sizes, seeds, draws + 1) at log10 of a size."""
        return vectors.mean(axis=0) + (at - self._x.mean()) * self.slope(vectors)

    def turn(self, vectors: np.ndarray) -> str:
        """The size at which the line crosses 0, in words, with the sizes at which its 95 % interval includes 0.

        They are Fieller's (1954): those for which a test does not find that the line differs from 0.
        """
        intervals = [significance.estimate(self.line(vectors, at)).interval() for at in _TURNS]
        is_open = [low <= 0 <= high for low, high in intervals]
        slope = float(self.slope(vectors)[:, 0].mean())
        at = float(self._x.mean() - vectors[:, :, 0].mean() / slope) if slope else math.inf
        inside = _TURNS[0] <= at <= _TURNS[-1]
        if not inside and not any(is_open):
            return f"no turn from {_size(_TURNS[0])} to {_size(_TURNS[-1])} pairs"
        where = (
            f"turn at {_size(at)} pairs" if inside else f"turn beyond {_size(_TURNS[0])} to {_size(_TURNS[-1])} pairs"
        )
        return f"{where} ({'undecided' if all(is_open) else _open_sizes(is_open, at)})"


def _open_sizes(is_open: Sequence[bool], at: float) -> str:
    """The sizes at which the line may be 0, in words; they may be two ranges."""
    ranges = []
    for value, places in itertools.groupby(range(len(is_open)), key=lambda i: is_open[i]):
        first, *_, last = [*places] * 2
        if value:
            low = "less" if first == 0 else _size(_TURNS[first])
            high = "more" if last == len(is_open) - 1 else _size(_TURNS[last])
            ranges.append(f"{low} to {high}")
    return f"95 %: {' or '.join(ranges) if ranges else _size(at)}"


def _size(log_size: float) -> str:
    """A size to two digits, from its log10."""
    return spaced(round(10**log_size, 1 - math.floor(log_size)))


@dataclass(frozen=True)
class Gain:
    """The gain of smoothing in a quantity at a temperature, or "fitted"; positive where smoothing is better."""

    quantity: Quantity
    temperature: float | str = 1.0
    beam: int | None = None

    def __call__(self, pair: Pair) -> np.ndarray:
        """The vectors (seeds, draws + 1) of a pair."""
        hard, smoothed = (pair.test(self.quantity, alpha, self.temperature, self.beam) for alpha in (0.0, 0.1))
        return self.quantity.better * (smoothed - hard)


class Domains:
    """The sizes on the split of the training's domain and on that of another one, over the seeds that both have."""

    def __init__(self, within: Sizes, outside: Sizes) -> None:
        self.seeds = sorted({*within.seeds} & {*outside.seeds})
        if not self.seeds:
            raise Missing(f"one training seed of every size on {LITERARY}, too")
        self.within, self.outside = within.of_seeds(self.seeds), outside.of_seeds(self.seeds)

    def of_seeds(self, seeds: Sequence[int]) -> Domains:
        """The same over some of the seeds."""
        return Domains(self.within.of_seeds(seeds), self.outside.of_seeds(seeds))


class Vocabularies:
    """Pairs of models, narrow ones after wide ones, each with the small vocabulary and then with the large one."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self._pairs = list(pairs)
        self.seeds = sorted(set.intersection(*(set(pair.seeds) for pair in pairs)))
        if not self.seeds:
            raise Missing("one training seed of every model")

    def of_seeds(self, seeds: Sequence[int]) -> Vocabularies:
        """The same over some of the seeds."""
        return Vocabularies([pair.of_seeds(seeds) for pair in self._pairs])

    def gains(self) -> list[np.ndarray]:
        """The gain in forced ECE (seeds, draws + 1) of each pair."""
        return [Gain(ECE)(pair.of_seeds(self.seeds)) for pair in self._pairs]


class Evidence:
    """The pairs of a study of several sizes, in the domain of training and out of it."""

    def __init__(self, study: Study, draws: int) -> None:
        self._study = study
        self._draws = draws

    def _sizes_on(self, study: Study) -> Sizes:
        """The sizes with at least two seeds on a split, or all. Raises Missing for fewer than two sizes."""
        pairs = {size: pair for size, of in study.by_size.items() if (pair := self._pair(of, study)) is not None}
        several = {size: pair for size, pair in pairs.items() if len(pair.seeds) > 1}
        sizes = Sizes(several if len(several) > 1 else pairs) if len(pairs) > 1 else None
        if sizes is None or not sizes.seeds:
            raise Missing(f"models of two sizes of data, alike in all else, with one seed: {no_pair(study)}")
        return sizes

    def _pair(self, models: tuple[Entry, Entry], study: Study) -> Pair | None:
        try:
            return Pair(*models, study, self._draws)
        except Missing:
            return None  # of no common seed yet

    @cached_property
    def sizes(self) -> Mapping[str, Sizes]:
        """The sizes of the main model. Raises Missing for fewer than two."""
        return {"": self._sizes_on(self._study)}

    @property
    def domains(self) -> Mapping[str, Domains]:
        """The main model's sizes on the reported split and on `LITERARY`. Raises Missing where that is not measured."""
        if LITERARY not in self._study.splits:
            raise Missing(f"the split {LITERARY}")
        return {"": Domains(self.sizes[""], self._sizes_on(self._study.on(LITERARY)))}

    @cached_property
    def _vocabularies(self) -> dict[str, list[Pair]]:
        """Pairs of two vocabularies, the smaller first, that are alike in all else, by architecture."""
        found: dict[tuple[object, ...], dict[int, Pair]] = {}
        for hard, smoothed in self._study.pairs:
            architecture, vocabulary, *others = family(hard.model)
            pair = self._pair((hard, smoothed), self._study)
            if isinstance(vocabulary, int) and pair is not None:
                found.setdefault((architecture, hard.model.pairs, *others), {})[vocabulary] = pair
        return {str(key[0]): [of[n] for n in sorted(of)] for key, of in found.items() if len(of) == 2}

    @property
    def vocabularies(self) -> Mapping[str, Vocabularies]:
        """Models of two vocabularies by architecture. Raises Missing for none."""
        if not self._vocabularies:
            raise Missing("models of two vocabularies that are alike in all else")
        return {name: Vocabularies(self._vocabularies[name]) for name in sorted(self._vocabularies)}

    @property
    def widths(self) -> Mapping[str, Vocabularies]:
        """Models of two vocabularies and two widths, the wide ones first. Raises Missing for others."""
        known = sorted((name for name in self._vocabularies if name in _WIDTHS), key=lambda name: -_WIDTHS[name])
        if len(known) != 2:
            raise Missing("models of two vocabularies and two widths")
        return {"": Vocabularies([pair for name in known for pair in self._vocabularies[name]])}
