"""Sums a bin on the device of the data: what a training step adds up without leaving the GPU."""

from __future__ import annotations

import torch

from . import gpu
from .bins import N_BINS


def bin_index(confidence: torch.Tensor, n_bins: int = N_BINS) -> torch.Tensor:
    """Index (N,) of the equal-width bin of each confidence (N,): bin b is [b/n, (b+1)/n), the last is closed at 1.0.

    torchmetrics gives confidence 1.0 a bin of its own; ours keeps it in the last bin.
    """
    return (confidence * n_bins).long().clamp_(0, n_bins - 1)


def bin_sums(
    confidence: torch.Tensor, hit: torch.Tensor, n_bins: int = N_BINS, where: torch.Tensor | None = None
) -> torch.Tensor:
    """Sums (3, n_bins) in float64 of count, confidence and hits, for ``confidence`` (N,) and ``hit`` (N,).

    Only the predictions ``where`` (N,) is true count. On a GPU with Triton one kernel does it, and nothing waits for
    the device. Raises ValueError for shapes that differ.
    """
    if hit.shape != confidence.shape or (where is not None and where.shape != confidence.shape):
        raise ValueError(f"{len(confidence)} confidences need as many hits and choices")
    if gpu.serves(confidence):
        from .bin_kernel import sums_of_predictions

        return sums_of_predictions(confidence, hit, n_bins, where)
    left_out = torch.zeros_like(hit) if where is None else ~where  # the second of two groups
    return grouped_bin_sums(confidence, hit, left_out.long(), 2, n_bins)[0]


def grouped_bin_sums(
    confidence: torch.Tensor, hit: torch.Tensor, group: torch.Tensor, n_groups: int, n_bins: int = N_BINS
) -> torch.Tensor:
    """Sums (n_groups, 3, n_bins) of each group apart, for example of each sentence.

    ``group`` (N,) counts from 0. Resampling takes these sums.
    """
    index = group * n_bins + bin_index(confidence, n_bins)
    values = torch.stack((torch.ones_like(confidence), confidence, hit.to(confidence.dtype))).double()
    sums = values.new_zeros(3, n_groups * n_bins).index_add_(1, index, values)
    return sums.view(3, n_groups, n_bins).transpose(0, 1)
