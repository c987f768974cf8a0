"""Selective prediction: keep what a model is sure of, and count the risk of what is kept. Arrays of numpy.

The risk at coverage c is the mean risk of the share c of items with the greatest scores. AURC is its mean over all
coverages (Geifman and El-Yaniv 2017, "Selective classification for deep neural networks"). Items of one score count in
any order: their risk is the mean over the orders.
"""

from __future__ import annotations

import numpy as np

_CACHED = 80_000
"""Weights of a pass: so many numbers of 8 bytes stay in the cache of a core."""
_FEW_GROUPS = 8
"""Up to so many groups of one score, as hits and misses, are summed by a product of matrices."""
POWERS = (2, 4, 6, 8)
"""The powers p of MaxLogit-pNorm (see `confidence`)."""
_MAX_LOGIT = tuple(f"MaxLogit-{p}Norm" for p in POWERS)
SCORES = ("mean log-probability", "least probability", "mean entropy", *_MAX_LOGIT)
"""The scores of a sentence or an image that are recorded. The greater a score, the surer the model; so the entropy
counts negative."""
TOKEN_SCORES = ("probability", "entropy", *_MAX_LOGIT)
"""The scores of a token."""


def risk_coverage(score: np.ndarray, risk: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coverages and risks (N,) of the first 1 to N items by ``score`` (N,), the greatest first."""
    _, group = np.unique(-score, return_inverse=True)
    total, n = np.bincount(group, risk), np.bincount(group)
    before, seen = np.cumsum(total) - total, np.cumsum(n) - n
    kept = np.arange(1, len(score) + 1)
    group = np.sort(group)
    return kept / len(score), (before[group] + (kept - seen[group]) * (total / n)[group]) / kept


def aurc(score: np.ndarray, risk: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """The area (D,) under the curve of risk over coverage, where item i counts ``weights`` (D, N) times, all once by
    default. Raises ValueError for no item.

    A group of m items of one score and mean risk r, after n items of total risk A, adds
    sum_{i=1..m} (A + i r) / (n + i) = m r + (A - n r) (H(n + m) - H(n)), with harmonic numbers H.
    """
    if not len(score):
        raise ValueError("no item to select")
    weights = np.ones((1, len(score))) if weights is None else weights
    _, group = np.unique(-score, return_inverse=True)
    harmonic = np.concatenate(([0.0], np.cumsum(1 / np.arange(1, int(weights.sum(axis=1).max()) + 1))))
    n_groups = int(group.max()) + 1
    if n_groups <= _FEW_GROUPS:
        members = (group[:, None] == np.arange(n_groups)).astype(float)
        return _areas(weights @ (members * risk[:, None]), weights @ members, harmonic)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    areas = []
    draws = max(1, _CACHED // len(score))
    for block in np.split(weights, range(draws, len(weights), draws)):
        ordered = block[:, order]
        risks, counts = (np.add.reduceat(columns, starts, axis=1) for columns in (ordered * risk[order], ordered))
        areas.append(_areas(risks, counts, harmonic))
    return np.concatenate(areas)


def _areas(risks: np.ndarray, counts: np.ndarray, harmonic: np.ndarray) -> np.ndarray:
    """The areas (D,) from the total risk and the number of items of each group, both (D, groups)."""
    total, seen = np.cumsum(risks, axis=1), np.cumsum(counts, axis=1)
    added = np.diff(harmonic[seen.astype(int)], axis=1, prepend=0)
    areas = risks + (total - risks - (seen - counts) * (risks / np.maximum(counts, 1))) * added
    return areas.sum(axis=1) / seen[:, -1]


def normalised_aurc(score: np.ndarray, risk: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """(AURC - that of the best order) / (that of no order - that of the best order), (D,): 0 is best, 1 is no
    selection (Cattelan and Silva 2024, equation 5). NaN where all items have one risk.

    So models of different quality can be compared: AURC itself is less for a better model.
    """
    weights = np.ones((1, len(score))) if weights is None else weights
    best = aurc(-risk, risk, weights)
    random = weights @ risk / weights.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (aurc(score, risk, weights) - best) / (random - best)
