"""Claims about models of several sizes of data: when smoothing helps, beyond the paper's one size.

The rule for ends, slopes and turns is in ``recipes/when/README.md``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .. import significance
from ..quantities import BLEU, ECE, LOG_TEMPERATURE, NLL, Quantity
from ..study import LITERARY, Entry, Study, family, spaced
from .pair import BEAM, Pair, no_pair, of_measured_seeds
from .rule import Claim, Measured, Missing, Part, joined

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


def _at(gain: Gain, place: int) -> Callable[[Sizes], Measured]:
    """The gain at the least size (0) or at the greatest (-1)."""

    def measure(sizes: Sizes) -> Measured:
        return Measured(sizes.of_each(gain)[place], f"{spaced(sizes.sizes[place])} pairs")

    return measure


def _fall(gain: Gain) -> Callable[[Sizes], Measured]:
    """How much of the gain is lost where the data are ten times as many, and where it is 0."""

    def measure(sizes: Sizes) -> Measured:
        vectors = sizes.of_each(gain)
        return Measured(-sizes.slope(vectors), sizes.turn(vectors))

    return measure


def _temperature_falls(sizes: Sizes) -> Measured:
    logs = sizes.of_each(lambda pair: pair.test(LOG_TEMPERATURE, 0.0, "fitted"))
    means = np.exp(logs[:, :, 0].mean(axis=1))
    return Measured(-sizes.slope(logs), joined("T " + ", ".join(f"{mean:.2f}" for mean in means)))


def _calibrates_outside(domains: Domains) -> Measured:
    return Measured(domains.outside.of_each(Gain(ECE)).mean(axis=0))


def _more_than_within(domains: Domains) -> Measured:
    outside, within = (sizes.of_each(Gain(ECE)).mean(axis=0) for sizes in (domains.outside, domains.within))
    return Measured(_apart(outside, within))


def _apart(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The difference of vectors (seeds, draws + 1) of two sets of sentences.

    Resamples of the second set are taken in another order: what the generator drew for both must not pair them.
    """
    return first - np.concatenate((second[:, :1], np.roll(second[:, 1:], 1, axis=1)), axis=1)


def _more_than_a_temperature(domains: Domains) -> Measured:
    def gain(pair: Pair) -> np.ndarray:
        return pair.test(ECE, 0.0, "fitted") - pair.test(ECE, 0.1)

    return Measured(domains.outside.of_each(gain).mean(axis=0))


def _less_with_a_large_vocabulary(of: Vocabularies) -> Measured:
    small, large = of.gains()
    return Measured(small - large)


def _more_so_when_narrow(of: Vocabularies) -> Measured:
    small, large, narrow_small, narrow_large = of.gains()
    return Measured((narrow_small - narrow_large) - (small - large))


def _claim(
    number: int,
    words: str,
    where: str,
    numbers: str,
    subjects: Callable[[Evidence], Mapping[str, object]],
    *parts: Part,
) -> Claim:
    return Claim(number, words, where, numbers, [of_measured_seeds(part) for part in parts], subjects)


def _about_a_gain(number: int, words: str, unit: str, name: str, gain: Gain) -> Claim:
    parts = (
        Part(f"{name} at the least size", unit, _at(gain, 0)),
        Part(f"{name} at the greatest size", unit, _at(gain, -1)),
        Part("what ten times the data take from it", unit, _fall(gain)),
    )
    return _claim(number, words, "beyond the paper", "one size", lambda of: of.sizes, *parts)


CLAIMS = (
    _about_a_gain(19, "Smoothing lowers NLL at T = 1, less with more data", "nats", "NLL(0) - NLL(0.1)", Gain(NLL)),
    _about_a_gain(
        20,
        "Smoothing lowers NLL at the fitted T (refinement), less with more data",
        "nats",
        "NLL(0) - NLL(0.1), each at its fitted T",
        Gain(NLL, "fitted"),
    ),
    _about_a_gain(21, "Smoothing lowers forced ECE, less with more data", "ECE", "ECE(0) - ECE(0.1)", Gain(ECE)),
    _about_a_gain(
        22, "Smoothing lowers beam ECE, less with more data", "ECE", "beam ECE(0) - ECE(0.1)", Gain(ECE, beam=BEAM)
    ),
    _about_a_gain(
        23, "Smoothing raises BLEU, less with more data", "BLEU", "BLEU(0.1) - BLEU(0)", Gain(BLEU, beam=BEAM)
    ),
    _claim(
        24,
        "The fitted temperature of the model without smoothing falls with more data",
        "beyond the paper",
        "1.13 with 4.5 million pairs",
        lambda of: of.sizes,
        Part("what ten times the data take from log T", "log T", _temperature_falls),
    ),
    _claim(
        25,
        "Smoothing calibrates out of domain, too",
        "beyond the paper",
        "not in this paper",
        lambda of: of.domains,
        Part("ECE(0) - ECE(0.1) out of domain, mean over sizes", "ECE", _calibrates_outside),
        Part("the same less that in the domain", "ECE", _more_than_within),
        Part("ECE(0, fitted T) - ECE(0.1) out of domain", "ECE", _more_than_a_temperature),
    ),
    _claim(
        26,
        "Smoothing calibrates less with a large vocabulary",
        "Huang et al. 2025",
        "not in this paper",
        lambda of: of.vocabularies,
        Part("gain in ECE with the small vocabulary - with the large one", "ECE", _less_with_a_large_vocabulary),
    ),
    _claim(
        27,
        "And more so on a narrow model",
        "Huang et al. 2025",
        "not in this paper",
        lambda of: of.widths,
        Part("the difference of 26, narrow - wide", "ECE", _more_so_when_narrow),
    ),
)
