"""The loss of `mt_ls.smoothing.logits` from hidden states and the weight that makes logits of them.

Where logits are the last thing that a model computes, `linear_smoothed_cross_entropy` makes them itself, a chunk of
rows at a time, computes the gradients in the same pass, and keeps no (N, K) tensor.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from ..calibration.gpu import serves
from ..calibration.hits import is_hit
from . import gpu
from .chunks import chunk_rows
from .cpu import RoundedTies
from .kinds import NO_SMOOTHING, Smoothing
from .logits import SmoothedLoss, scattered
from .prior import checked_prior
from .products import check_products, project

_LOG2_E = 1 / math.log(2)


def linear_smoothed_cross_entropy(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    target: torch.Tensor,
    smoothing: Smoothing = NO_SMOOTHING,
    prior: torch.Tensor | None = None,
    products: str = "float32",
    ignore_index: int | None = None,
) -> tuple[torch.Tensor, SmoothedLoss]:
    """Sum over rows of the loss of logits ``hidden @ weight.T``, and the loss and statistics of each row.

    ``hidden`` (N, D), ``weight`` (K, D), ``target`` (N,), ``prior`` (K,) for a smoothing that is not uniform. Only the
    sum carries gradients, to ``hidden`` and ``weight``. Memory grows with N D + K D and a constant, not with N K. Rows
    whose target is ``ignore_index`` have a loss and statistics of 0, no hit, and no gradient.

    On a GPU with Triton one kernel does a row's part, nothing waits for the device, and the entropy comes beside the
    rest. Elsewhere torch's operators compute the same, without it.

    ``products="bfloat16"`` rounds factors and results of the three matrix products of float32 inputs to bfloat16 and
    accumulates in float32, on a CPU; the softmax stays float32, and float32 logits decide the hits of rounded ties.
    Raises ValueError for another number of targets, and as `checked_prior` and `check_products` do.
    """
    n_classes = weight.size(0)
    if target.shape != hidden.shape[:1]:
        raise ValueError(f"{len(hidden)} hidden states need as many targets, not {tuple(target.shape)}")
    prior = checked_prior(smoothing, prior, n_classes)
    alpha = smoothing.alpha(n_classes)
    rounds = check_products(products) == "bfloat16" and hidden.dtype == torch.float32 and hidden.device.type == "cpu"
    factors = torch.bfloat16 if rounds else hidden.dtype
    with_gradient = torch.is_grad_enabled()
    if serves(hidden):
        return gpu.linear_smoothed_cross_entropy(hidden, weight, target, alpha, prior, ignore_index)
    if ignore_index is not None:
        real = target != ignore_index
        total, kept = linear_smoothed_cross_entropy(hidden[real], weight, target[real], smoothing, prior, products)
        return total, scattered(kept, real)
    total, *rows = _LinearSmoothedCrossEntropy.apply(hidden, weight, target, alpha, prior, factors, with_gradient)
    return total, SmoothedLoss(*rows)


class _LinearSmoothedCrossEntropy(torch.autograd.Function):
    """Loss and gradients of chunks of rows.

    With e = exp(z - max z) and s = sum e, softmax(z) = e / s: the products with e run unnormalised, and their small
    sides are scaled by 1/s. The prior's share of loss and gradient needs no logits: prior . z = (prior @ weight) . h.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        target: torch.Tensor,
        alpha: float,
        prior: torch.Tensor | None,
        factors: torch.dtype,
        with_gradient: bool,
    ) -> tuple[torch.Tensor, ...]:
        (n, width), n_classes = hidden.shape, weight.size(0)
        exact = torch.promote_types(hidden.dtype, torch.float32)
        nll, spread, confidence = hidden.new_empty(3, n, dtype=exact)  # spread: lse - prior . z
        hit = torch.empty(n, dtype=torch.bool, device=hidden.device)
        prior = None if prior is None else prior.to(hidden.device, exact)
        prior_weight = weight.mean(dim=0, dtype=exact) if prior is None else prior @ weight.to(exact)
        if with_gradient:
            d_hidden = hidden.new_empty(n, width, dtype=exact)
            d_weight = weight.new_zeros(weight.shape, dtype=exact)
        ties = RoundedTies() if factors != hidden.dtype else None
        w = weight.to(factors)
        step = chunk_rows(n_classes, hidden.device)
        for start in range(0, n, step):
            rows = slice(start, start + step)
            x, y = hidden[rows].to(factors), target[rows].unsqueeze(-1)
            logits = project(x, w)
            z = logits.to(exact)
            target_logit, greatest = z.gather(-1, y), z.amax(dim=-1, keepdim=True)
            hit[rows] = is_hit(target_logit, greatest)[:, 0]
            if ties is not None:
                ties.add(start, z, y, target_logit)
            e = torch.add(greatest * -_LOG2_E, z, alpha=_LOG2_E, out=z).exp2_()  # faster than exp on a CPU
            s = e.sum(dim=-1, keepdim=True)
            lse = greatest + s.log()
            nll[rows], confidence[rows] = (lse - target_logit)[:, 0], s.reciprocal()[:, 0]
            spread[rows] = lse[:, 0] - hidden[rows].to(exact) @ prior_weight
            if with_gradient:
                e.scatter_add_(-1, y, (alpha - 1) * s)
                e = logits.copy_(e)  # the same storage, unless the products have half the precision
                d_hidden[rows] = torch.mm(e, w) / s
                _add_product(d_weight, e.t(), (hidden[rows] / s).to(factors))
            del logits, z, e  # or two chunks of logits are held
        if ties is not None:
            ties.decide(hit, hidden, weight, target)
        loss = (1 - alpha) * nll + alpha * spread
        if with_gradient:
            if alpha:
                d_hidden -= alpha * prior_weight
                _subtract_prior(d_weight, hidden.sum(dim=0, dtype=exact), alpha, prior)
            ctx.save_for_backward(d_hidden, d_weight)
            ctx.dtypes = hidden.dtype, weight.dtype
        ctx.mark_non_differentiable(loss, nll, confidence, hit)
        return loss.sum(), loss, nll, confidence, hit

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        # Mostly the loss ends the graph, and there is nothing to scale and to copy. (Asking a GPU waits for it.)
        unscaled = grads[0].device.type == "cpu" and grads[0] == 1
        d_hidden, d_weight = (
            (gradient if unscaled else gradient * grads[0]).to(dtype)
            for gradient, dtype in zip(ctx.saved_tensors, ctx.dtypes, strict=True)
        )
        return d_hidden, d_weight, None, None, None, None, None


def _subtract_prior(d_weight: torch.Tensor, hidden_sum: torch.Tensor, alpha: float, prior: torch.Tensor | None) -> None:
    """Subtract alpha prior (K,) times ``hidden_sum`` (D,) from ``d_weight`` (K, D)."""
    if prior is None:
        d_weight -= alpha / len(d_weight) * hidden_sum
    else:
        d_weight.addr_(prior, hidden_sum, alpha=-alpha)


def _add_product(total: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> None:
    """Add ``left @ right`` to ``total``, in the precision of ``total``."""
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    else:
        total += torch.mm(left, right)
