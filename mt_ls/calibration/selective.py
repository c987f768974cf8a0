"""Selective prediction: keep what a model is sure of, and count the risk of what is kept. Arrays of numpy.

The risk at coverage c is the mean risk of the share c of items with the greatest scores. AURC is its mean over all
coverages (Geifman and El-Yaniv 2017, "Selective classification for deep neural networks"). Items of one score count in
any order: their risk is the mean over the orders.
"""

from __future__ import annotations

import numpy as np

POWERS = (2, 4, 6, 8)
"""The powers p of MaxLogit-pNorm (see `confidence`)."""
SCORES = ("mean log-probability", "least probability", "mean entropy", *(f"MaxLogit-{p}Norm" for p in POWERS))
"""The scores of a sentence or an image that are recorded. The greater a score, the surer the model; so the entropy
counts negative."""


def risk_coverage(score: np.ndarray, risk: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coverages and risks (N,) of the first 1 to N items by ``score`` (N,), the greatest first."""
    totals, counts = _groups(score, risk, np.ones((1, len(score))))
    total, n = totals[0], counts[0]
    before, seen = np.cumsum(total) - total, np.cumsum(n) - n
    rank = np.concatenate([np.arange(1, m + 1) for m in n.astype(int)])
    group = np.repeat(np.arange(len(n)), n.astype(int))
    kept = seen[group] + rank
    return kept / len(score), (before[group] + rank * (total / n)[group]) / kept


def aurc(score: np.ndarray, risk: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """The area (D,) under the curve of risk over coverage, where item i counts ``weights`` (D, N) times, all once by
    default. Raises ValueError for no item.

    A group of m items of one score and mean risk r, after n items of total risk A, adds
    sum_{i=1..m} (A + i r) / (n + i) = m r + (A - n r) (H(n + m) - H(n)), with harmonic numbers H.
    """
    if not len(score):
        raise ValueError("no item to select")
    weights = np.ones((1, len(score))) if weights is None else weights
    totals, counts = _groups(score, risk, weights)
    before, seen = np.cumsum(totals, axis=1) - totals, np.cumsum(counts, axis=1) - counts
    n = counts.sum(axis=1)
    harmonic = np.concatenate(([0.0], np.cumsum(1 / np.arange(1, int(n.max()) + 1))))
    mean = totals / np.maximum(counts, 1)
    added = harmonic[(seen + counts).astype(int)] - harmonic[seen.astype(int)]
    return (totals + (before - seen * mean) * added).sum(axis=1) / n


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


def _groups(score: np.ndarray, risk: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Total risk and number (D, G) of the items of each different score, the greatest score first."""
    _, group = np.unique(-score, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    counts = weights[:, order]
    return np.add.reduceat(counts * risk[order], starts, axis=1), np.add.reduceat(counts, starts, axis=1)
