"""Claims about selective prediction: what smoothing does to it, and whether logits without their scale mend that.

Xia et al. (2025, "Towards understanding why label smoothing degrades selective classification and how to fix it") say
of images that smoothing makes the order by confidence worse, and that normalised logits mend it. The quantity is the
normalised AURC, so that models of different accuracy can be compared. MaxLogit-pNorm has the p of least mean area on
the split that chooses, for each model its own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from ..quantities import Quantity
from ..selective import OF_CONFIDENCE, OF_IMAGES, OF_SENTENCES, OF_TOKENS, best_power, normalised
from .image_evidence import Pair as PairOfImages
from .image_evidence import common_seeds
from .pair import BEAM, Pair, claim_of_seeds
from .rule import Claim, Measured, Part

_WORDS = (
    "area of 0.1 - area of 0, by the probability",
    "of 0.1: area by the probability - area by MaxLogit-pNorm",
    "the same of 0.1 - the same of 0",
)
_WHERE, _NUMBERS = "Xia et al. 2025", "not in this paper"


Quantities = tuple[Quantity, ...]


def _area(pair: Pair, alpha: float, quantity: Quantity) -> np.ndarray:
    return pair.test(quantity, alpha, beam=BEAM)


def _harms(quantities: Quantities, pair: Pair) -> Measured:
    return Measured(_area(pair, 0.1, quantities[0]) - _area(pair, 0.0, quantities[0]))


def _mended(quantities: Quantities, pair: Pair, alpha: float) -> tuple[np.ndarray, int]:
    """What MaxLogit-pNorm takes from the area by probability of a model, and its p."""
    norms = normalised(quantities)
    best = best_power({p: pair.valid(quantity, alpha, beam=BEAM).mean() for p, quantity in norms.items()})
    return _area(pair, alpha, quantities[0]) - _area(pair, alpha, norms[best]), best


def _mends(quantities: Quantities, pair: Pair) -> Measured:
    gain, p = _mended(quantities, pair, 0.1)
    return Measured(gain, f"p = {p}")


def _mends_more(quantities: Quantities, pair: Pair) -> Measured:
    (smoothed, p), (hard, of_hard) = _mended(quantities, pair, 0.1), _mended(quantities, pair, 0.0)
    return Measured(smoothed - hard, f"p = {p} and {of_hard}")


def _images_harmed(pair: PairOfImages) -> Measured:
    hard, smoothed = (pair.evidence.resampled(OF_CONFIDENCE, [entry]) for entry in (pair.hard, pair.smoothed))
    first, second = common_seeds(hard, smoothed)
    return Measured(second - first)


def _images_mended(pair: PairOfImages, alpha: float) -> tuple[dict[int, np.ndarray], int]:
    entry = pair.smoothed if alpha else pair.hard
    quantities = normalised(OF_IMAGES)
    areas = {p: pair.evidence.chosen(quantity, entry) for p, quantity in quantities.items()}
    best = best_power(areas)
    before, after = (pair.evidence.resampled(q, [entry]) for q in (OF_CONFIDENCE, quantities[best]))
    return {seed: before[seed] - after[seed] for seed in before.keys() & after.keys()}, best


def _images_mend(pair: PairOfImages) -> Measured:
    gain, p = _images_mended(pair, 0.1)
    return Measured(np.stack([gain[seed] for seed in sorted(gain)]), f"p = {p}")


def _images_mend_more(pair: PairOfImages) -> Measured:
    (smoothed, p), (hard, of_hard) = _images_mended(pair, 0.1), _images_mended(pair, 0.0)
    first, second = common_seeds(hard, smoothed)
    return Measured(second - first, f"p = {p} and {of_hard}")


def _parts(*measures: Callable[..., Measured], of: str = "") -> list[Part]:
    return [Part(f"{of}{words}", "NAURC", measure) for words, measure in zip(_WORDS, measures, strict=True)]


def _parts_of(quantities: Quantities, of: str) -> list[Part]:
    """The parts of translations."""
    return _parts(*(functools.partial(measure, quantities) for measure in (_harms, _mends, _mends_more)), of=of)


TRANSLATIONS = claim_of_seeds(
    28,
    "Smoothing makes the selection of translations worse, and normalised logits mend it",
    f"{_WHERE}, of images",
    _NUMBERS,
    *_parts_of(OF_SENTENCES, ""),
    *_parts_of(OF_TOKENS, "tokens: "),
)
IMAGES = Claim(
    29,
    "Smoothing makes the selection of images worse, and normalised logits mend it",
    _WHERE,
    _NUMBERS,
    _parts(_images_harmed, _images_mend, _images_mend_more),
    lambda evidence: evidence.pairs(),
)
