"""The Triton kernel of many temperatures: one program a row of logits, which reads it once for all of them.

The arithmetic is that of `mt_ls.calibration.temperature`, in float32. ``TRITON_INTERPRET=1`` runs the kernel on CPU
tensors.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl

from .gpu import on_device

_ELEMENTS = 16384
"""Exponentials of a block: temperatures times logits."""


@triton.jit
def _row(
    logits_ptr,
    target_ptr,
    inverse_ptr,
    columns_ptr,
    n,
    hit_ptr,
    CLASSES: tl.constexpr,
    COUNT: tl.constexpr,
    TEMPERATURES: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """The statistics of a row at COUNT temperatures; TEMPERATURES is the next power of two."""
    row = tl.program_id(0).to(tl.int64)
    logits_ptr += row * CLASSES
    target = tl.load(target_ptr + row)
    place = tl.arange(0, TEMPERATURES)
    inverse = tl.load(inverse_ptr + place, mask=place < COUNT, other=1.0)
    block = tl.arange(0, BLOCK)
    greatest = -float("inf")
    for start in range(0, CLASSES, BLOCK):
        z = tl.load(logits_ptr + start + block, mask=start + block < CLASSES, other=-float("inf")).to(tl.float32)
        greatest = tl.maximum(greatest, tl.max(z, 0))
    total = tl.zeros((TEMPERATURES,), tl.float32)
    squares = tl.zeros((TEMPERATURES,), tl.float32)
    for start in range(0, CLASSES, BLOCK):  # from the cache
        z = tl.load(logits_ptr + start + block, mask=start + block < CLASSES, other=-float("inf")).to(tl.float32)
        e = tl.exp((z - greatest)[None, :] * inverse[:, None])
        total += tl.sum(e, 1)
        squares += tl.sum(e * e, 1)
    known = (target >= 0) & (target < CLASSES)
    target_logit = tl.load(logits_ptr + target, mask=known, other=float("nan")).to(tl.float32)
    nll = tl.log(total) - (target_logit - greatest) * inverse
    brier = squares / (total * total) - 2 * tl.exp(-nll) + 1
    columns_ptr += place * n + row
    tl.store(columns_ptr, nll, mask=place < COUNT)
    tl.store(columns_ptr + COUNT * n, 1 / total, mask=place < COUNT)
    tl.store(columns_ptr + 2 * COUNT * n, brier, mask=place < COUNT)
    sane = tl.sum(total, 0)
    tl.store(hit_ptr + row, (target_logit >= greatest) & (sane == sane))  # NaN is never a hit


def statistics_at(
    logits: torch.Tensor, target: torch.Tensor, temperatures: Sequence[float]
) -> tuple[torch.Tensor, torch.Tensor]:
    """NLL, confidence and Brier score (3, T, N), float32, at each of T temperatures, and hits (N,), from one pass."""
    columns = logits.new_empty(3, len(temperatures), len(target), dtype=torch.float32)
    hit = torch.empty(len(target), dtype=torch.bool, device=logits.device)
    if columns.numel():
        inverse = torch.tensor([1 / t for t in temperatures], dtype=torch.float32).to(logits.device, non_blocking=True)
        _launch(logits.contiguous(), target.contiguous(), inverse, columns, hit)
    return columns, hit


def _launch(
    logits: torch.Tensor, target: torch.Tensor, inverse: torch.Tensor, columns: torch.Tensor, hit: torch.Tensor
) -> None:
    n, n_classes = logits.shape
    temperatures = triton.next_power_of_2(len(inverse))
    block = min(max(128, triton.next_power_of_2(n_classes)), max(128, _ELEMENTS // temperatures))
    with on_device(logits):
        _row[(n,)](
            logits,
            target,
            inverse,
            columns,
            n,
            hit,
            CLASSES=n_classes,
            COUNT=len(inverse),
            TEMPERATURES=temperatures,
            BLOCK=block,
            num_warps=8,
        )
