"""For GPUs only: the loss of hidden states with cuBLAS's products and the Triton kernel of `row_kernel`.

A row of logits is written once by the product, read and overwritten with its gradient by the kernel, and read by the
other two products. Products accumulate in float32, and so do the chunks of the weight's gradient.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from .chunks import chunk_rows
from .logits import SmoothedLoss

_ALIGNMENT = 128  # of a row of logits, in bytes
_NO_ROW = -(2**63)


def linear_smoothed_cross_entropy(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    target: torch.Tensor,
    alpha: float,
    prior: torch.Tensor | None,
    ignore_index: int | None,
) -> tuple[torch.Tensor, SmoothedLoss]:
    """The sum of the loss, and its rows, of arguments that are checked (see `hidden.linear_smoothed_cross_entropy`).

    Under autocast the products have its precision, whatever that of the hidden states is.
    """
    device = hidden.device.type
    if torch.is_autocast_enabled(device):
        hidden = hidden.to(torch.get_autocast_dtype(device))
    with torch.autocast(device, enabled=False):
        total, *rows = _LinearSmoothedCrossEntropy.apply(
            hidden, weight, target, alpha, prior, ignore_index, torch.is_grad_enabled()
        )
    return total, SmoothedLoss(*rows)


class _LinearSmoothedCrossEntropy(torch.autograd.Function):
    """Sum of the loss, and loss, NLL, confidence, hit and entropy of each row."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        target: torch.Tensor,
        alpha: float,
        prior: torch.Tensor | None,
        ignore_index: int | None,
        with_gradient: bool,
    ) -> tuple[torch.Tensor, ...]:
        from . import row_kernel

        n, n_classes = len(hidden), weight.size(0)
        statistics = hidden.new_empty(4, n, dtype=torch.float32)
        hit = torch.empty(n, dtype=torch.bool, device=hidden.device)
        if prior is not None:
            prior = prior.to(hidden.device, torch.float32).contiguous()
        w = weight.to(hidden.dtype)
        scale = _gradient_scale(hidden.dtype) if with_gradient else 0
        parts: list[torch.Tensor] = []  # of the gradient of hidden
        d_weight = None
        step = chunk_rows(n_classes, hidden.device)
        exact = n > step or scale > 1  # sums of chunks, and what float16 cannot hold, need float32
        buffer = _aligned_rows(min(n, step), n_classes, hidden)
        ignored = _NO_ROW if ignore_index is None else ignore_index
        for start in range(0, n, step):
            rows = slice(start, start + step)
            x = hidden[rows]
            z = torch.mm(x, w.t(), out=buffer[: len(x)])
            y = target[rows].contiguous()
            row_kernel.loss_of_rows(z, y, alpha, prior, ignored, scale, statistics[:, rows], hit[rows])
            if with_gradient:
                parts.append(_product(z, w, exact))
                added = _product(z.t(), x, exact)
                d_weight = added if d_weight is None else d_weight.add_(added)
        loss, nll, confidence, entropy = statistics
        if with_gradient:
            d_hidden = parts[0] if len(parts) == 1 else torch.cat([hidden[:0].float(), *parts])
            ctx.save_for_backward(d_hidden, weight.new_zeros(weight.shape) if d_weight is None else d_weight)
            ctx.scale, ctx.dtypes = scale, (hidden.dtype, weight.dtype)
        ctx.set_materialize_grads(False)  # or backward fills five tensors with zeros
        ctx.mark_non_differentiable(loss, nll, confidence, hit, entropy)
        return loss.sum(), loss, nll, confidence, hit, entropy

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        factor = grads[0] if ctx.scale == 1 else grads[0] / ctx.scale
        d_hidden, d_weight = (
            torch.mul(gradient, factor, out=torch.empty_like(gradient, dtype=dtype))
            for gradient, dtype in zip(ctx.saved_tensors, ctx.dtypes, strict=True)
        )
        return d_hidden, d_weight, None, None, None, None, None


def _gradient_scale(dtype: torch.dtype) -> int:
    # float16 holds nothing below 6e-8, and a probability of a large vocabulary is often less. The products are float32.
    return 2**14 if dtype == torch.float16 else 1


def _aligned_rows(n: int, n_classes: int, like: torch.Tensor) -> torch.Tensor:
    """An empty matrix (n, n_classes) whose rows begin at aligned addresses, for any number of classes."""
    multiple = _ALIGNMENT // like.element_size()
    return like.new_empty(n, -(-n_classes // multiple) * multiple)[:, :n_classes]


def _product(left: torch.Tensor, right: torch.Tensor, exact: bool) -> torch.Tensor:
    """The product of two matrices, ``exact`` in float32 for factors of half the precision."""
    if not exact or left.dtype == torch.float32:
        return torch.mm(left, right)
    if _has_float32_results(left.device.type):
        return torch.mm(left, right, out_dtype=torch.float32)
    return torch.mm(left.float(), right.float())


@functools.cache
def _has_float32_results(device: str) -> bool:
    # On a GPU, from torch 2.8 on. Elsewhere the factors become float32: float16 would overflow.
    return device == "cuda" and "dtype" in torch.ops.aten.mm.overloads()
