"""A test of calibration from recorded bins, after T-Cal (Lee, Huang, Hassani and Dobriban 2022, arXiv 2203.01850).

The statistic of bins b with n_b predictions is the plug-in squared calibration error without the squares of single
residuals u = hit - confidence, which alone would make it positive for a calibrated model:

    S = 1/N sum_b 1/n_b sum_{i != j in b} u_i u_j = 1/N sum_b [(sum_i u_i)^2 - sum_i u_i^2] / n_b

Few bins find a wide miscalibration, many a narrow one. So S is computed for 1, 2, 4, ... groups of nearly equal count
and for all bins, and the greatest of them, each in its standard deviations, is compared with that of calibrated models.
"""

from __future__ import annotations

import numpy as np

from .bins import Bins, equal_mass_cuts


def p_value(bins: Bins, rng: np.random.Generator, draws: int = 1999) -> float:
    """How often a calibrated model with these confidences has statistics as great, in (0, 1] (NaN when empty).

    It needs the field ``bins`` of a record alone, 15 bins, and takes finer ones too: hits of a calibrated model are
    drawn as binomial(count, mean confidence of the bin). Confidences that vary within a bin have less variance than
    that, so the test rejects a little less often than its level. Predictions count as independent, given their
    confidences.
    """
    full = bins.count > 0
    if not full.any():
        return float("nan")
    count, confidence, hits = (values[full] for values in (bins.count, bins.confidence, bins.hits))
    drawn = rng.binomial(np.rint(count).astype(int), np.clip(confidence / count, 0, 1), size=(draws, len(count)))
    values = statistics(count, confidence, np.vstack((hits, drawn)))
    spread = values.std(axis=0)
    greatest = np.divide(values - values.mean(axis=0), spread, out=np.zeros_like(values), where=spread > 0).max(axis=1)
    return float((greatest >= greatest[0]).mean())


def statistics(count: np.ndarray, confidence: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """S (draws, levels) of ``hits`` (draws, B) in bins of which none is empty, at 1, 2, 4, ... groups and at all bins.

    Squares of residuals are those of predictions that have the mean confidence of their bin.
    """
    mean = confidence / count
    gap, squares = hits - confidence, hits * (1 - mean) ** 2 + (count - hits) * mean**2
    levels = [2**k for k in range(len(count).bit_length()) if 2**k < len(count)]
    columns = []
    for cuts in [*(equal_mass_cuts(count, level) for level in levels), np.arange(len(count))]:
        gaps, of_squares = (np.add.reduceat(values, cuts, axis=1) for values in (gap, squares))
        columns.append(((gaps**2 - of_squares) / np.add.reduceat(count, cuts)).sum(axis=1) / count.sum())
    return np.stack(columns, axis=1)
