"""Claims about models of several sizes of data: when smoothing helps, beyond the paper's one size.

The rule for the slopes and turns is in ``recipes/when/README.md``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mt_ls.records import Model

from .. import significance
from ..quantities import BLEU, ECE, LOG_TEMPERATURE, NLL, Quantity
from ..study import Study
from .pair import BEAM, Pair, no_pair
from .rule import Claim, Measured, Missing, Part, joined

LITERARY = "literary"
"""The test set of another domain."""
_TURNS = np.arange(3.0, 7.005, 0.01)
"""log10 of the sizes among which a turn is looked for."""


class Sizes:
    """Pairs of models of one architecture and vocabulary by number of training pairs, over the seeds that all have."""

    def __init__(self, pairs: Mapping[int, Pair]) -> None:
        seeds = sorted(set.intersection(*(set(pair.seeds) for pair in pairs.values())))
        if not seeds:
            raise Missing("one training seed of every size")
        self._pairs = {size: pairs[size].of_seeds(seeds) for size in sorted(pairs)}

    @property
    def sizes(self) -> list[int]:
        """The numbers of training pairs, in order."""
        return list(self._pairs)

    def of_each(self, measure: Callable[[Pair], np.ndarray]) -> np.ndarray:
        """The vectors (sizes, seeds, draws + 1) of a measure of a pair."""
        return np.stack([measure(pair) for pair in self._pairs.values()])

    @cached_property
    def _x(self) -> np.ndarray:
        return np.log10(self.sizes)

    def slope(self, vectors: np.ndarray) -> np.ndarray:
        """The slopes (seeds, draws + 1) over log10 of the size, by least squares."""
        centred = self._x - self._x.mean()
        return np.tensordot(centred / (centred**2).sum(), vectors, axes=1)

    def line(self, vectors: np.ndarray, at: float) -> np.ndarray:
        """The values (seeds, draws + 1) at log10 of a size of the line through vectors (sizes, seeds, draws + 1)."""
        return vectors.mean(axis=0) + (at - self._x.mean()) * self.slope(vectors)

    def turn(self, vectors: np.ndarray) -> str:
        """The size at which the line crosses 0, in words, with the sizes at which its 95 % interval includes 0.

        The interval is Fieller's (1954): those sizes for which a test does not find that the line differs from 0.
        """
        lines = [significance.estimate(self.line(vectors, at)) for at in _TURNS]
        values = np.array([line.value for line in lines])
        crossed = np.flatnonzero(np.sign(values[1:]) != np.sign(values[:-1]))
        if not len(crossed):
            return f"no turn from {_size(_TURNS[0])} to {_size(_TURNS[-1])} pairs"
        open_at = [at for at, line in zip(_TURNS, lines, strict=True) if line.interval()[0] <= 0 <= line.interval()[1]]
        low = "less" if open_at[0] == _TURNS[0] else _size(open_at[0])
        high = "more" if open_at[-1] == _TURNS[-1] else _size(open_at[-1])
        if (low, high) == ("less", "more"):
            return f"turn at {_size(_TURNS[crossed[0]])} pairs, undecided"
        return f"turn at {_size(_TURNS[crossed[0]])} pairs (95 %: {low} to {high})"


def _size(log_size: float) -> str:
    """A size to two digits, from its log10."""
    digits = 1 - math.floor(log_size)
    return f"{round(10**log_size, digits):,.0f}".replace(",", " ")


@dataclass(frozen=True)
class Gain:
    """What smoothing gains in a quantity at a temperature, or "fitted"; positive where it is better."""

    quantity: Quantity
    temperature: float | str = 1.0
    beam: int | None = None

    def __call__(self, pair: Pair) -> np.ndarray:
        """The vectors (seeds, draws + 1) of a pair."""
        hard, smoothed = (pair.test(self.quantity, alpha, self.temperature, self.beam) for alpha in (0.0, 0.1))
        return self.quantity.better * (smoothed - hard)


class Evidence:
    """The pairs of a study of several sizes, in the domain of training and out of it."""

    def __init__(self, study: Study, draws: int) -> None:
        self._study = study
        self._draws = draws

    @cached_property
    def _models(self) -> dict[Model, Pair]:
        return self._pairs_on(self._study)

    def _pairs_on(self, study: Study) -> dict[Model, Pair]:
        """The pairs on a split, by their model without smoothing."""
        pairs = {}
        for hard, smoothed in study.pairs:
            try:
                pairs[hard.model.without_smoothing] = Pair(hard, smoothed, study, self._draws)
            except Missing:
                continue  # of no common seed yet
        if not pairs:
            raise Missing(no_pair(study))
        return pairs

    def _of_main_model(self, pairs: Mapping[Model, Pair]) -> dict[int, Pair]:
        """The pairs by size of the architecture and vocabulary with the most sizes."""
        families: dict[tuple[object, ...], dict[int, Pair]] = {}
        for model, pair in pairs.items():
            if model.pairs is not None:
                families.setdefault(_family(model), {})[model.pairs] = pair
        main = max(families.values(), key=len)
        if len(main) < 2:
            raise Missing("models of two sizes of data that are alike in all else")
        return main

    @cached_property
    def sizes(self) -> Mapping[str, Sizes]:
        """The sizes of the main model, without a name. Raises Missing for fewer than two."""
        return {"": Sizes(self._of_main_model(self._models))}

    @property
    def domains(self) -> Mapping[str, Domains]:
        """The main model's sizes on the reported split and on `LITERARY`. Raises Missing where that is not measured."""
        if LITERARY not in self._study.splits:
            raise Missing(f"the split {LITERARY}")
        outside = self._of_main_model(self._pairs_on(self._study.on(LITERARY)))
        within = self._of_main_model(self._models)
        both = sorted(within.keys() & outside.keys())
        return {"": Domains(Sizes({n: within[n] for n in both}), Sizes({n: outside[n] for n in both}))}

    @property
    def vocabularies(self) -> Mapping[str, Sequence[Pair]]:
        """Pairs that differ in their vocabulary alone, the smaller first, by architecture. Raises Missing for none."""
        found: dict[tuple[object, ...], dict[int, Pair]] = {}
        for model, pair in self._models.items():
            found.setdefault((model.architecture, model.pairs), {})[model.vocabulary or 0] = pair
        of_two = {str(key[0]): of for key, of in found.items() if len(of) == 2}
        if not of_two:
            raise Missing("models of two vocabularies that are alike in all else")
        return {name: [of_two[name][n] for n in sorted(of_two[name])] for name in sorted(of_two)}

    @property
    def widths(self) -> Mapping[str, Sequence[Sequence[Pair]]]:
        """The vocabularies of two architectures, the narrower one second. Raises Missing for another number."""
        vocabularies = self.vocabularies
        if len(vocabularies) != 2:
            raise Missing("models of two vocabularies and two widths")
        return {"": list(vocabularies.values())}


@dataclass(frozen=True)
class Domains:
    """The sizes on the split of the training's domain, and outside."""

    within: Sizes
    outside: Sizes


def _family(model: Model) -> tuple[object, ...]:
    return model.architecture, model.vocabulary, model.precision, model.checkpoint


def _at(gain: Gain, place: int) -> Callable[[Sizes], Measured]:
    """The gain at the least size (0) or at the greatest (-1)."""

    def measure(sizes: Sizes) -> Measured:
        n = sizes.sizes[place]
        return Measured(sizes.of_each(gain)[place], f"{n:,} pairs".replace(",", " "))

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


def _less_with_a_large_vocabulary(pairs: Sequence[Pair]) -> Measured:
    small, large = _of_common_seeds(pairs)
    return Measured(Gain(ECE)(small) - Gain(ECE)(large))


def _more_so_when_narrow(of_widths: Sequence[Sequence[Pair]]) -> Measured:
    pairs = _of_common_seeds([pair for of_width in of_widths for pair in of_width])
    small, large, narrow_small, narrow_large = map(Gain(ECE), pairs)
    return Measured((narrow_small - narrow_large) - (small - large))


def _of_common_seeds(pairs: Sequence[Pair]) -> list[Pair]:
    seeds = sorted(set.intersection(*(set(pair.seeds) for pair in pairs)))
    if not seeds:
        raise Missing("one training seed of every model")
    return [pair.of_seeds(seeds) for pair in pairs]


def _about_a_gain(number: int, words: str, unit: str, name: str, gain: Gain) -> Claim:
    parts = (
        Part(f"{name} at the least size", unit, _at(gain, 0)),
        Part(f"{name} at the greatest size", unit, _at(gain, -1)),
        Part("what ten times the data take from it", unit, _fall(gain)),
    )
    return Claim(number, words, "beyond the paper", "one size", parts, lambda of: of.sizes)


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
    Claim(
        24,
        "The fitted temperature of the model without smoothing falls with more data",
        "beyond the paper",
        "1.13 with 4.5 million pairs",
        (Part("what ten times the data take from log T", "log T", _temperature_falls),),
        lambda of: of.sizes,
    ),
    Claim(
        25,
        "Smoothing calibrates out of domain, too",
        "beyond the paper",
        "not in this paper",
        (
            Part("ECE(0) - ECE(0.1) out of domain, mean over sizes", "ECE", _calibrates_outside),
            Part("the same less that in the domain", "ECE", _more_than_within),
            Part("ECE(0, fitted T) - ECE(0.1) out of domain", "ECE", _more_than_a_temperature),
        ),
        lambda of: of.domains,
    ),
    Claim(
        26,
        "Smoothing calibrates less with a large vocabulary",
        "Huang et al. 2025",
        "not in this paper",
        (Part("gain in ECE with the small vocabulary - with the large one", "ECE", _less_with_a_large_vocabulary),),
        lambda of: of.vocabularies,
    ),
    Claim(
        27,
        "And more so on a narrow model",
        "Huang et al. 2025",
        "not in this paper",
        (Part("the difference of 26, narrow - wide", "ECE", _more_so_when_narrow),),
        lambda of: of.widths,
    ),
)
