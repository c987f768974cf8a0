"""The Triton kernel of bins: one program adds up all predictions, for some bins of all.

The predictions of a batch fall into few bins, where atomic additions would wait for each other.
``TRITON_INTERPRET=1`` runs the kernel on CPU tensors.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from .gpu import on_device

_BINS = 16  # of a program
_BLOCK = 1024


@triton.jit
def _sums(
    confidence_ptr,
    hit_ptr,
    where_ptr,
    sums_ptr,
    n,
    N_BINS: tl.constexpr,
    ALL: tl.constexpr,
    BINS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Sums of count, confidence and hits of this program's bins. ALL: every prediction counts."""
    bins = tl.program_id(0) * BINS + tl.arange(0, BINS)
    count = tl.zeros((BINS,), tl.float64)
    confidences = tl.zeros((BINS,), tl.float64)
    hits = tl.zeros((BINS,), tl.float64)
    start = tl.zeros((), tl.int64)
    while start < n:
        place = start + tl.arange(0, BLOCK)
        counts = place < n
        confidence = tl.load(confidence_ptr + place, mask=counts, other=0.0).to(tl.float32)
        hit = tl.load(hit_ptr + place, mask=counts, other=0).to(tl.float64)
        if not ALL:
            counts = counts & (tl.load(where_ptr + place, mask=counts, other=0) != 0)
        index = tl.minimum(tl.maximum((confidence * N_BINS).to(tl.int32), 0), N_BINS - 1)
        member = (index[None, :] == bins[:, None]) & counts[None, :]
        count += tl.sum(member.to(tl.float64), 1)
        # a choice, not a product: 0 times NaN is NaN
        confidences += tl.sum(tl.where(member, confidence[None, :].to(tl.float64), 0.0), 1)
        hits += tl.sum(tl.where(member, hit[None, :], 0.0), 1)
        start += BLOCK
    inside = bins < N_BINS
    tl.store(sums_ptr + bins, count, mask=inside)
    tl.store(sums_ptr + N_BINS + bins, confidences, mask=inside)
    tl.store(sums_ptr + 2 * N_BINS + bins, hits, mask=inside)


def sums_of_predictions(
    confidence: torch.Tensor, hit: torch.Tensor, n_bins: int, where: torch.Tensor | None
) -> torch.Tensor:
    """Sums (3, n_bins) in float64 of count, confidence and hits of the predictions ``where`` is true (None: all)."""
    confidence, hit = confidence.contiguous(), hit.contiguous()
    sums = torch.empty(3, n_bins, dtype=torch.float64, device=confidence.device)
    with on_device(confidence):
        _sums[(triton.cdiv(n_bins, _BINS),)](
            confidence,
            hit,
            hit if where is None else where.contiguous(),  # a pointer that is not read
            sums,
            len(confidence),
            N_BINS=n_bins,
            ALL=where is None,
            BINS=_BINS,
            BLOCK=_BLOCK,
            num_warps=8,
        )
    return sums
