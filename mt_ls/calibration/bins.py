"""Calibration statistics that add up: ``Bins`` holds sums, and every measure is a view of them.

Expected calibration error (ECE) is the count-weighted mean over bins of |accuracy - mean confidence|
(Naeini et al. 2015; Guo et al. 2017, eq. 3). Because a ``Bins`` keeps sums and not means, it is closed
under ``+``: batches, accumulation steps, workers and sentences merge without error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

N_BINS = 15
FINE_BINS = 4096  # fine enough to be merged into bins of equal count


def bin_index(confidence: torch.Tensor, n_bins: int = N_BINS) -> torch.Tensor:
    """Index of the equal-width bin of each confidence: bin b is [b/n, (b+1)/n), the last is closed at 1.0.

    torchmetrics puts a confidence of exactly 1.0 into a bin of its own with count but, like sklearn, uses
    right-open bins otherwise; ours keeps 1.0 in the last bin.
    """
    return (confidence * n_bins).long().clamp_(0, n_bins - 1)


@dataclass(frozen=True, eq=False)
class Bins:
    """Sums a bin: ``count``, ``confidence`` (sum of predicted probabilities) and ``hits``, each float64 (B,).

    ``edges`` (B + 1,) tell where the bins lie. ``a + b`` is the bins of the concatenated data.
    """

    edges: np.ndarray
    count: np.ndarray
    confidence: np.ndarray
    hits: np.ndarray

    @classmethod
    def zeros(cls, n_bins: int = N_BINS) -> Bins:
        """Empty equal-width bins."""
        return cls(np.linspace(0, 1, n_bins + 1), *np.zeros((3, n_bins)))

    @classmethod
    def of(cls, confidence: Any, hits: Any, n_bins: int = N_BINS) -> Bins:
        """Equal-width bins of ``confidence`` (N,) in [0, 1] and ``hits`` (N,) in {0, 1}.

        Raises ValueError for lengths that differ or a confidence outside [0, 1] (or NaN).
        """
        confidence = torch.as_tensor(np.asarray(confidence)).reshape(-1)
        hits = torch.as_tensor(np.asarray(hits)).reshape(-1)
        if confidence.shape != hits.shape:
            raise ValueError(f"{len(confidence)} confidences but {len(hits)} hits")
        if len(confidence) and not bool(((confidence >= 0) & (confidence <= 1)).all()):
            raise ValueError("a confidence lies outside [0, 1] or is NaN")
        return cls.from_sums(bin_sums(confidence, hits, n_bins))

    @classmethod
    def from_sums(cls, sums: Any) -> Bins:
        """From a (3, B) array of counts, confidence sums and hit sums in equal-width bins (see `bin_sums`)."""
        sums = np.asarray(sums, dtype=np.float64)
        return cls(np.linspace(0, 1, sums.shape[1] + 1), *sums)

    def equal_mass(self, n_bins: int = N_BINS) -> Bins:
        """Neighbours merged into at most ``n_bins`` bins of nearly equal count (Nguyen & O'Connor 2015). Of fine bins
        (`FINE_BINS`) these are the equal-mass bins of the data, confidences of one fine bin taken as ties."""
        below = np.concatenate(([0.0], np.cumsum(self.count)))
        wanted = np.linspace(0, below[-1], n_bins + 1)
        cuts = np.unique(np.searchsorted(below, wanted[1:-1]))
        cuts = np.concatenate(([0], cuts[(cuts > 0) & (cuts < len(self.count))]))
        sums = (np.add.reduceat(values, cuts) for values in (self.count, self.confidence, self.hits))
        return Bins(np.append(self.edges[cuts], self.edges[-1]), *sums)

    def __add__(self, other: Bins) -> Bins:
        if not np.array_equal(self.edges, other.edges):
            raise ValueError("bins with different edges cannot be added")
        return Bins(
            self.edges,
            self.count + other.count,
            self.confidence + other.confidence,
            self.hits + other.hits,
        )

    @property
    def n(self) -> int:
        """How many predictions were seen."""
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
        """(mean confidence, accuracy, count) of the bins that hold something: the reliability diagram."""
        full = self.count > 0
        count = self.count[full]
        return self.confidence[full] / count, self.hits[full] / count, count

    def ece(self) -> float:
        """Expected calibration error: sum over bins of |hits - confidence| / N, in [0, 1] (NaN when empty)."""
        return float(np.abs(self.hits - self.confidence).sum() / self.count.sum()) if self.n else float("nan")

    def mce(self) -> float:
        """Maximum calibration error: the greatest gap of a bin that holds something (Guo et al. 2017, eq. 5)."""
        confidence, accuracy, _ = self.curve()
        return float(np.abs(accuracy - confidence).max()) if self.n else float("nan")

    def ece2_debiased(self) -> float:
        """Squared (L2) calibration error with the sampling noise of each bin taken off: sum over bins of
        (n/N) [(acc - conf)^2 - acc (1 - acc) / (n - 1)], floored at 0, square root (Kumar et al. 2019, sec. 5).

        Bins of one prediction have no variance estimate and are left out of the sum.
        """
        confidence, accuracy, count = self.curve()
        many = count > 1
        gap = (accuracy - confidence)[many] ** 2
        noise = (accuracy * (1 - accuracy))[many] / (count[many] - 1)
        if not self.n:
            return float("nan")
        return float(np.sqrt(max(0.0, ((gap - noise) * count[many]).sum() / self.n)))

    def noise_floor(self, rng: np.random.Generator, draws: int = 200) -> tuple[float, float]:
        """Mean and standard deviation of the ECE that a *perfectly calibrated* model would show at these
        counts: hits are redrawn as binomial(count, mean confidence of the bin)."""
        confidence, _, count = self.curve()
        hits = rng.binomial(count.astype(int), np.clip(confidence, 0, 1), size=(draws, len(count)))
        ece = np.abs(hits - confidence * count).sum(1) / self.n
        return float(ece.mean()), float(ece.std())

    def to_json(self) -> dict[str, list[float]]:
        """Plain lists, sums and not means."""
        return {key: getattr(self, key).tolist() for key in ("edges", "count", "confidence", "hits")}

    @classmethod
    def from_json(cls, fields: dict[str, Sequence[float]]) -> Bins:
        """The inverse of `to_json`. Raises ValueError for numbers that are no bins."""
        edges, *sums = (np.asarray(fields[key], np.float64) for key in ("edges", "count", "confidence", "hits"))
        whole = edges.ndim == 1 and all(values.shape == (len(edges) - 1,) for values in sums)
        if not (whole and np.isfinite([edges[:-1], *sums]).all() and np.min(sums) >= 0):
            raise ValueError("bins need one finite number >= 0 each, between edges one more than they are")
        return cls(edges, *sums)


def bin_sums(confidence: torch.Tensor, hits: torch.Tensor, n_bins: int = N_BINS) -> torch.Tensor:
    """(3, n_bins) float64 sums of count, confidence and hits of ``confidence`` (N,) and ``hits`` (N,), on the
    device of the data: what a training step adds up without leaving the GPU."""
    return grouped_bin_sums(confidence, hits, torch.zeros_like(hits, dtype=torch.long), 1, n_bins)[0]


def grouped_bin_sums(
    confidence: torch.Tensor, hits: torch.Tensor, group: torch.Tensor, n_groups: int, n_bins: int = N_BINS
) -> torch.Tensor:
    """(n_groups, 3, n_bins): `bin_sums` of each group apart, for example of each sentence; ``group`` (N,) counts from
    0. What resampling groups needs."""
    index = group * n_bins + bin_index(confidence, n_bins)
    values = torch.stack((torch.ones_like(confidence), confidence, hits.to(confidence.dtype))).double()
    sums = values.new_zeros(3, n_groups * n_bins).index_add_(1, index, values)
    return sums.view(3, n_groups, n_bins).transpose(0, 1)


def classwise_ece(confidence: np.ndarray, hits: np.ndarray, classes: np.ndarray) -> dict[int, float]:
    """ECE of the predictions of each class apart: {class: ECE}, for ``classes`` (N,) of integers."""
    return {int(c): Bins.of(confidence[classes == c], hits[classes == c]).ece() for c in np.unique(classes)}
