"""Claims about models of several sizes of data: when smoothing helps, beyond the paper's one size.

The rule for ends, slopes and turns is in ``recipes/when/README.md``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..labels import spaced
from ..quantities import BLEU, ECE, LOG_TEMPERATURE, NLL
from .pair import BEAM, Pair, claim_of_seeds
from .rule import Claim, Measured, Part, joined
from .size_evidence import Domains, Gain, Sizes, Vocabularies


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


def _about_a_gain(number: int, words: str, unit: str, name: str, gain: Gain) -> Claim:
    parts = (
        Part(f"{name} at the least size", unit, _at(gain, 0)),
        Part(f"{name} at the greatest size", unit, _at(gain, -1)),
        Part("what ten times the data take from it", unit, _fall(gain)),
    )
    return claim_of_seeds(number, words, "beyond the paper", "one size", *parts, subjects=lambda of: of.sizes)


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
    claim_of_seeds(
        24,
        "The fitted temperature of the model without smoothing falls with more data",
        "beyond the paper",
        "1.13 with 4.5 million pairs",
        Part("what ten times the data take from log T", "log T", _temperature_falls),
        subjects=lambda of: of.sizes,
    ),
    claim_of_seeds(
        25,
        "Smoothing calibrates out of domain, too",
        "beyond the paper",
        "not in this paper",
        Part("ECE(0) - ECE(0.1) out of domain, mean over sizes", "ECE", _calibrates_outside),
        Part("the same less that in the domain", "ECE", _more_than_within),
        Part("ECE(0, fitted T) - ECE(0.1) out of domain", "ECE", _more_than_a_temperature),
        subjects=lambda of: of.domains,
    ),
    claim_of_seeds(
        26,
        "Smoothing calibrates less with a large vocabulary",
        "Huang et al. 2025",
        "not in this paper",
        Part("gain in ECE with the small vocabulary - with the large one", "ECE", _less_with_a_large_vocabulary),
        subjects=lambda of: of.vocabularies,
    ),
    claim_of_seeds(
        27,
        "And more so on a narrow model",
        "Huang et al. 2025",
        "not in this paper",
        Part("the difference of 26, narrow - wide", "ECE", _more_so_when_narrow),
        subjects=lambda of: of.widths,
    ),
)
