"""Selective prediction from records: what is kept by a score of confidence, and the risk of it.

The risk of a translation is 1 - chrF, or 1 - BLEU of the sentence; that of a token or an image is 1 where it is wrong.
`Quantity` objects give the normalised AURC (see `mt_ls.calibration.selective`) of each recorded score: 0 for the best
order, 1 for none.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mt_ls.calibration.bins import Bins
from mt_ls.calibration.selective import POWERS, SCORES, TOKEN_SCORES, normalised_aurc, risk_coverage
from mt_ls.records import Record

from .quantities import Quantity, sentence_bleu
from .rows import Row

LOG_PROBABILITY, LEAST_PROBABILITY, ENTROPY = range(3)
RIGHT = 0.9
"""The share of kept tokens that is to be right."""


class Kept(NamedTuple):
    """The ``share`` of predictions with a probability of at least ``threshold``, and their ``accuracy``."""

    threshold: float
    share: float
    accuracy: float


def _not_in_the_record(_record: Record) -> None:
    """The area is one of items."""


def _of_sentences(place: int, scores: np.ndarray, chrf: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return normalised_aurc(scores[:, place], 1 - chrf / 100, weights)


def _of_sentences_by_bleu(scores: np.ndarray, bleu: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return normalised_aurc(scores[:, LOG_PROBABILITY], 1 - sentence_bleu(bleu) / 100, weights)


def _of_tokens(score: str) -> Quantity:
    def of_record(record: Record) -> float | None:
        return None if record.token_naurc is None else record.token_naurc.get(score)

    return Quantity(f"normalised area of tokens by {score}", score, 3, -1, of_record)


def _of_images(place: int, scores: np.ndarray, bins: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return normalised_aurc(scores[:, place], 1 - bins[:, 2].sum(-1), weights)


def _of_confidence(bins: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return normalised_aurc(bins[:, 1].sum(-1), 1 - bins[:, 2].sum(-1), weights)


def _quantity(place: int, of_images: bool) -> Quantity:
    needs, function = (("scores", "bins"), _of_images) if of_images else (("scores", "chrf"), _of_sentences)
    name = f"normalised area by {SCORES[place]}"
    return Quantity(name, SCORES[place], 3, -1, _not_in_the_record, needs, functools.partial(function, place))


OF_SENTENCES = tuple(_quantity(place, of_images=False) for place in range(len(SCORES)))
"""The normalised AURC of translations by each of `SCORES`."""
BY_BLEU = Quantity(
    "normalised area by BLEU",
    f"{SCORES[LOG_PROBABILITY]}, risk by BLEU",
    3,
    -1,
    _not_in_the_record,
    ("scores", "bleu"),
    _of_sentences_by_bleu,
)
"""That of translations by the mean log-probability, where the risk is 1 - BLEU of the sentence."""
OF_TOKENS = tuple(map(_of_tokens, TOKEN_SCORES))
"""The normalised AURC of generated tokens by each of `TOKEN_SCORES`."""
OF_IMAGES = tuple(_quantity(place, of_images=True) for place in range(len(SCORES)))
"""The same of images; for records without scores `OF_CONFIDENCE` has that of the probability of the predicted class."""
OF_CONFIDENCE = Quantity("naurc", "probability", 3, -1, _not_in_the_record, ("bins",), _of_confidence)


def normalised(quantities: Sequence[Quantity]) -> dict[int, Quantity]:
    """Those of MaxLogit-pNorm, by p."""
    return dict(zip(POWERS, quantities[len(quantities) - len(POWERS) :], strict=True))


def best_power(areas: Mapping[int, float]) -> int:
    """The p of least area on the split that chooses."""
    return min(areas, key=lambda p: areas[p])


def curve(row: Row, place: int = LOG_PROBABILITY) -> tuple[np.ndarray, np.ndarray] | None:
    """Coverages and risks of the items of a row by a score; None where its scores were not kept."""
    items = row.items
    if items is None or items.bins is None:
        return None
    if row.record.mode == "images":
        return risk_coverage(items.bins[:, 1].sum(-1), 1 - items.bins[:, 2].sum(-1))
    if items.scores is None or items.chrf is None:
        return None
    return risk_coverage(items.scores[:, place], 1 - items.chrf / 100)


def thresholds(bins: Bins) -> list[Kept]:
    """What is kept at each edge of the bins, the greatest first. Edges above all predictions are left out."""
    count, hits = (np.cumsum(column[::-1]) for column in (bins.count, bins.hits))
    edges = np.arange(len(count))[::-1] / len(count)
    return [
        Kept(float(edge), float(n / bins.n), float(right / n))
        for edge, n, right in zip(edges, count, hits, strict=True)
        if n
    ]


def kept_at(bins: Bins, right: float = RIGHT) -> Kept | None:
    """The greatest part of the predictions of which this share is right; None where no threshold gives it."""
    enough = [kept for kept in thresholds(bins) if kept.accuracy >= right]
    return enough[-1] if enough else None
