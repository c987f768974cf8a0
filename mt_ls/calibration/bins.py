"""Calibration statistics that add up: `Bins` holds sums, and every measure is computed from them.

Expected calibration error (ECE) is the count-weighted mean over bins of |accuracy - mean confidence| (Naeini et al.
2015; Guo et al. 2017, eq. 3). `Bins` keeps sums and not means, so it is closed under ``+``: batches, accumulation
steps, workers and sentences merge without error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

N_BINS = 15
FINE_BINS = 4096  # fine enough to be merged into bins of equal count


def equal_mass_cuts(count: np.ndarray, n_groups: int) -> np.ndarray:
    """The first bins of at most ``n_groups`` groups of neighbours with nearly equal sums of ``count`` (B,)."""
    below = np.concatenate(([0.0], np.cumsum(count)))
    wanted = np.linspace(0, below[-1], n_groups + 1)
    cuts = np.unique(np.searchsorted(below, wanted[1:-1]))
    return np.concatenate(([0], cuts[(cuts > 0) & (cuts < len(count))]))


class Bins:
    """Sums a bin: ``count``, ``confidence`` (sum of predicted probabilities) and ``hits``, each float64 (B,).

    ``edges`` (B + 1,) are the bins' limits. ``a + b`` are the bins of the concatenated data.
    """

    __slots__ = ("confidence", "count", "edges", "hits")

    def __init__(self, edges: np.ndarray, count: np.ndarray, confidence: np.ndarray, hits: np.ndarray) -> None:
        self.edges, self.count, self.confidence, self.hits = edges, count, confidence, hits

    @classmethod
    def zeros(cls, n_bins: int = N_BINS) -> Bins:
        """Empty equal-width bins."""
        return cls(np.linspace(0, 1, n_bins + 1), *np.zeros((3, n_bins)))

    @classmethod
    def of(cls, confidence: Any, hit: Any, n_bins: int = N_BINS) -> Bins:
        """Equal-width bins of ``confidence`` (N,) in [0, 1] and ``hit`` (N,) in {0, 1}.

        Bin b is [b/n, (b+1)/n), the last is closed at 1.0. Raises ValueError for lengths that differ, or a confidence
        outside [0, 1] or NaN.
        """
        confidence, hit = np.asarray(confidence).reshape(-1), np.asarray(hit).reshape(-1)
        if confidence.shape != hit.shape:
            raise ValueError(f"{len(confidence)} confidences but {len(hit)} hits")
        if not np.all((confidence >= 0) & (confidence <= 1)):
            raise ValueError("a confidence lies outside [0, 1] or is NaN")
        index = (confidence * n_bins).astype(np.int64).clip(0, n_bins - 1)
        weights = (None, confidence, hit)
        return cls.from_sums([np.bincount(index, weight, minlength=n_bins) for weight in weights])

    @classmethod
    def from_sums(cls, sums: Any) -> Bins:
        """From an array (3, B) of counts, confidence sums and hit sums in equal-width bins."""
        sums = np.asarray(sums, dtype=np.float64)
        return cls(np.linspace(0, 1, sums.shape[1] + 1), *sums)

    def equal_mass(self, n_bins: int = N_BINS) -> Bins:
        """Neighbours merged into at most ``n_bins`` bins of nearly equal count (Nguyen and O'Connor 2015).

        Of fine bins (`FINE_BINS`) these are the equal-mass bins of the data, confidences of one fine bin taken as ties.
        """
        cuts = equal_mass_cuts(self.count, n_bins)
        sums = (np.add.reduceat(values, cuts) for values in (self.count, self.confidence, self.hits))
        return Bins(np.append(self.edges[cuts], self.edges[-1]), *sums)

    def __add__(self, other: Bins) -> Bins:
        if not np.array_equal(self.edges, other.edges):
            raise ValueError("bins with different edges cannot be added")
        return Bins(self.edges, self.count + other.count, self.confidence + other.confidence, self.hits + other.hits)

    @property
    def n(self) -> int:
        """Number of predictions."""
        return round(float(self.count.sum()))

    @property
    def mean_confidence(self) -> float:
        """Mean predicted probability (NaN when empty)."""
        return float(self.confidence.sum() / self.count.sum()) if self.n else float("nan")

    @property
    def accuracy(self) -> float:
        """Share of hits (NaN when empty)."""
        return float(self.hits.sum() / self.count.sum()) if self.n else float("nan")

    def curve(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean confidence, accuracy and count of the bins that are not empty: the reliability diagram."""
        full = self.count > 0
        count = self.count[full]
        return self.confidence[full] / count, self.hits[full] / count, count

    def ece(self) -> float:
        """Expected calibration error: sum over bins of |hits - confidence| / N, in [0, 1] (NaN when empty)."""
        return float(np.abs(self.hits - self.confidence).sum() / self.count.sum()) if self.n else float("nan")

    def over(self) -> float:
        """The part of the ECE from bins whose mean confidence is above their accuracy (NaN when empty)."""
        return float((self.confidence - self.hits).clip(min=0).sum() / self.count.sum()) if self.n else float("nan")

    def under(self) -> float:
        """The part of the ECE from bins whose mean confidence is below their accuracy: `over` + `under` = `ece`."""
        return float((self.hits - self.confidence).clip(min=0).sum() / self.count.sum()) if self.n else float("nan")

    def mce(self) -> float:
        """Maximum calibration error: the greatest gap of a bin that is not empty (Guo et al. 2017, eq. 5)."""
        confidence, accuracy, _ = self.curve()
        return float(np.abs(accuracy - confidence).max()) if self.n else float("nan")

    def ece2_debiased(self) -> float:
        """Root of the squared (L2) calibration error without each bin's sampling noise (Kumar et al. 2019, sec. 5).

        The square is the sum over bins of (n/N) [(acc - conf)^2 - acc (1 - acc) / (n - 1)], at least 0. Bins of one
        prediction have no variance estimate and are left out.
        """
        if not self.n:
            return float("nan")
        confidence, accuracy, count = self.curve()
        many = count > 1
        gap = (accuracy - confidence)[many] ** 2
        noise = (accuracy * (1 - accuracy))[many] / (count[many] - 1)
        return float(np.sqrt(max(0.0, ((gap - noise) * count[many]).sum() / self.n)))

    def noise_floor(self, rng: np.random.Generator, draws: int = 200) -> tuple[float, float]:
        """Mean and standard deviation of the ECE of a perfectly calibrated model at these counts.

        Hits are redrawn as binomial(count, mean confidence of the bin).
        """
        confidence, _, count = self.curve()
        hits = rng.binomial(count.astype(int), np.clip(confidence, 0, 1), size=(draws, len(count)))
        ece = np.abs(hits - confidence * count).sum(1) / self.n
        return float(ece.mean()), float(ece.std())

    def to_json(self) -> dict[str, list[float]]:
        """Plain lists of the sums, with the edges unless the bins have equal width."""
        names = ["count", "confidence", "hits"]
        if not np.array_equal(self.edges, np.linspace(0, 1, len(self.edges))):
            names.insert(0, "edges")
        return {name: getattr(self, name).tolist() for name in names}

    @classmethod
    def from_json(cls, fields: Mapping[str, Sequence[float]]) -> Bins:
        """The inverse of `to_json`. Raises ValueError for numbers that are no bins."""
        sums = [np.asarray(fields[name], np.float64) for name in ("count", "confidence", "hits")]
        edges = np.asarray(fields.get("edges", np.linspace(0, 1, len(sums[0]) + 1)), np.float64)
        whole = edges.ndim == 1 and all(values.shape == (len(edges) - 1,) for values in sums)
        if not (whole and np.isfinite([edges[:-1], *sums]).all() and np.min(sums) >= 0):
            raise ValueError("bins need one finite number >= 0 each, and one edge more than bins")
        return cls(edges, *sums)
