"""The Triton kernel of the loss: one program a row of logits, which gives its loss, statistics and gradient.

The arithmetic is that of `mt_ls.smoothing.logits`, in float32. A row is read once where it fits a block, else twice,
and the second time mostly from the cache. The gradient softmax(z) - q takes the place of the logits.

``TRITON_INTERPRET=1`` runs the kernel on CPU tensors.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from ..calibration.gpu import on_device

NO_PRIOR, UNIFORM, GIVEN = 0, 1, 2
_MAX_BLOCK = 32768  # a row that the registers of a program hold
_MANY_BLOCKS = (8192, 16)
_LOWEST = tl.constexpr(-1e38)  # a maximum that begins at -inf makes NaN of a block of -inf
_LOG2_E = tl.constexpr(1.4426950408889634)


@triton.jit
def _load(logits_ptr, column, CLASSES: tl.constexpr):
    return tl.load(logits_ptr + column, mask=column < CLASSES, other=-float("inf")).to(tl.float32)


@triton.jit
def _times_prior(z, prior_ptr, column, CLASSES: tl.constexpr, PRIOR: tl.constexpr):
    """The terms of prior . z, for the uniform prior times K; without smoothing 0, as a logit of -inf is legal then."""
    if PRIOR == 1:
        terms = tl.where(column < CLASSES, z, 0.0)
    elif PRIOR == 2:
        prior = tl.load(prior_ptr + column, mask=column < CLASSES, other=0.0)
        terms = tl.where(column < CLASSES, prior * z, 0.0)
    else:
        terms = tl.zeros_like(z)
    return terms


@triton.jit
def _store_gradient(
    logits_ptr,
    p,
    column,
    target,
    alpha,
    prior_ptr,
    CLASSES: tl.constexpr,
    PRIOR: tl.constexpr,
    SCALE: tl.constexpr,
):
    """SCALE (p - q) in the place of a block of logits whose probabilities are ``p``."""
    gradient = p
    if PRIOR == 1:
        gradient -= alpha / CLASSES
    elif PRIOR == 2:
        gradient -= alpha * tl.load(prior_ptr + column, mask=column < CLASSES, other=0.0)
    gradient = tl.where(column == target, gradient - (1 - alpha), gradient)
    tl.store(logits_ptr + column, (SCALE * gradient).to(logits_ptr.dtype.element_ty), mask=column < CLASSES)


@triton.jit
def _row(
    logits_ptr,
    stride,
    target_ptr,
    prior_ptr,
    statistics_ptr,
    statistics_stride,
    hit_ptr,
    alpha,
    ignored,
    CLASSES: tl.constexpr,
    PRIOR: tl.constexpr,
    SCALE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Statistics of a row into column ``row`` of ``statistics`` (loss, nll, confidence, entropy) and ``hit``; with
    SCALE > 0 the gradient times SCALE into the row of logits. A row whose target is ``ignored`` has zeros."""
    row = tl.program_id(0).to(tl.int64)
    logits_ptr += row * stride
    statistics_ptr += row
    target = tl.load(target_ptr + row)
    block = tl.arange(0, BLOCK)
    if target == ignored:
        for i in tl.static_range(4):
            tl.store(statistics_ptr + i * statistics_stride, 0.0)
        tl.store(hit_ptr + row, False)
        if SCALE > 0:
            for start in range(0, CLASSES, BLOCK):
                zeros = tl.zeros((BLOCK,), tl.float32).to(logits_ptr.dtype.element_ty)
                tl.store(logits_ptr + start + block, zeros, mask=start + block < CLASSES)
    else:
        # With logits in units of log 2 an exponential is one multiplication less.
        z = _load(logits_ptr, block, CLASSES)
        terms = _times_prior(z, prior_ptr, block, CLASSES, PRIOR)
        greatest = tl.maximum(tl.max(z, 0), _LOWEST)
        below = (z - greatest) * _LOG2_E
        totals = tl.exp2(below)
        weighted = tl.where(totals > 0, totals * below, 0.0)
        if CLASSES > BLOCK:  # the sums stay spread over the block until the end: a sum over threads is slow
            for start in range(BLOCK, CLASSES, BLOCK):
                more = _load(logits_ptr, start + block, CLASSES)
                terms += _times_prior(more, prior_ptr, start + block, CLASSES, PRIOR)
                higher = tl.maximum(greatest, tl.max(more, 0))
                step = (greatest - higher) * _LOG2_E
                shrink = tl.exp2(step)
                below = (more - higher) * _LOG2_E
                e = tl.exp2(below)
                weighted = shrink * (weighted + totals * step) + tl.where(e > 0, e * below, 0.0)
                totals = shrink * totals + e
                greatest = higher
        dot, weighted_total, total = tl.sum(terms, 0), tl.sum(weighted, 0), tl.sum(totals, 0)
        # A target that is no class makes the loss NaN, in place of a fault of the device.
        known = (target >= 0) & (target < CLASSES)
        target_logit = tl.load(logits_ptr + target, mask=known, other=float("nan")).to(tl.float32)
        log_total = tl.log(total)
        nll = log_total + (greatest - target_logit)
        loss = nll
        if PRIOR > 0:
            if PRIOR == 1:
                dot = dot / CLASSES
            loss = (1 - alpha) * nll + alpha * (log_total + (greatest - dot))
        tl.store(statistics_ptr, loss)
        tl.store(statistics_ptr + statistics_stride, nll)
        tl.store(statistics_ptr + 2 * statistics_stride, 1 / total)
        tl.store(statistics_ptr + 3 * statistics_stride, log_total - weighted_total / total / _LOG2_E)
        tl.store(hit_ptr + row, (target_logit >= greatest) & (total == total))  # NaN is never a hit
        if SCALE > 0:
            tl.debug_barrier()  # all threads have read the target's logit
            inverse = 1 / total
            if CLASSES <= BLOCK:
                _store_gradient(logits_ptr, totals * inverse, block, target, alpha, prior_ptr, CLASSES, PRIOR, SCALE)
            else:
                for start in range(0, CLASSES, BLOCK):
                    again = _load(logits_ptr, start + block, CLASSES)
                    p = tl.exp2((again - greatest) * _LOG2_E) * inverse
                    _store_gradient(logits_ptr, p, start + block, target, alpha, prior_ptr, CLASSES, PRIOR, SCALE)


def launch_shape(n_classes: int) -> tuple[int, int]:
    """The logits of a block and the warps of a program, for rows of ``n_classes`` logits: the fastest on an H100."""
    block = triton.next_power_of_2(n_classes)
    if block > _MAX_BLOCK:
        return _MANY_BLOCKS
    return max(128, block), min(max(1, block // 1024), 16)


def loss_of_rows(
    logits: torch.Tensor,
    target: torch.Tensor,
    alpha: float,
    prior: torch.Tensor | None,
    ignored: int,
    scale: int,
    statistics: torch.Tensor,
    hit: torch.Tensor,
) -> None:
    """Write loss, NLL, confidence and entropy (nats) to ``statistics`` (4, N) and hits to ``hit`` (N,).

    ``logits`` (N, K) have contiguous rows, which need not follow each other. With ``scale`` > 0 they are overwritten
    with ``scale`` (softmax(z) - q). ``prior`` (K,) is float32, None for the uniform one. Rows with target ``ignored``
    have zeros everywhere.
    """
    n, n_classes = logits.shape
    block, warps = launch_shape(n_classes)
    with on_device(logits):
        _row[(n,)](
            logits,
            logits.stride(0),
            target,
            logits if prior is None else prior,  # a pointer that is not read
            statistics,
            statistics.stride(0),
            hit,
            alpha,
            ignored,
            CLASSES=n_classes,
            PRIOR=NO_PRIOR if not alpha else UNIFORM if prior is None else GIVEN,
            SCALE=scale,
            BLOCK=block,
            num_warps=warps,
        )
