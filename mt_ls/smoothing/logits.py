"""The label-smoothed cross entropy of logits, its gradient and its calibration statistics from one pass.

For a row z of K logits with target y and lse = logsumexp(z), in nats:

    q          = (1 - a) onehot(y) + a prior             Müller et al. 2019, section 1.1
    nll        = lse - z_y
    loss       = (1 - a) nll + a (lse - prior . z)       the cross entropy of q and softmax(z)
    gradient   = softmax(z) - q
    confidence = exp(max z - lse),  hit = [z_y = max z]

The prior is uniform, 1/K, or any other distribution over the classes. fairseq (since 0.12) puts epsilon / (K - 1) on
each wrong class instead; that is this loss with a = epsilon K / (K - 1) and the uniform prior.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from ..calibration.hits import is_hit
from .kinds import NO_SMOOTHING, Smoothing
from .prior import checked_prior


class SmoothedLoss(NamedTuple):
    """Loss and calibration statistics of each row, each (N,).

    ``loss`` and ``nll`` in nats, ``confidence`` in [0, 1], and ``hit`` by the rule of `is_hit`. ``entropy`` of the
    prediction in nats, where it costs nothing (on a GPU, see `hidden`), else None.
    """

    loss: torch.Tensor
    nll: torch.Tensor
    confidence: torch.Tensor
    hit: torch.Tensor
    entropy: torch.Tensor | None = None


def smoothed_cross_entropy(
    logits: torch.Tensor,
    target: torch.Tensor,
    smoothing: Smoothing = NO_SMOOTHING,
    prior: torch.Tensor | None = None,
    ignore_index: int | None = None,
) -> SmoothedLoss:
    """Loss, NLL, confidence and hit of each row of ``logits`` (N, K) for ``target`` (N,) of class indices.

    Only ``loss`` carries a gradient. ``prior`` (K,) is that of a smoothing that is not uniform (see `prior_of`).
    Arithmetic is float32 at least, whatever the logits are; log-probabilities serve as logits too. Rows whose target is
    ``ignore_index`` have a loss and statistics of 0, no hit, and no gradient. Raises ValueError as `checked_prior`
    does.
    """
    n_classes = logits.size(-1)
    prior = checked_prior(smoothing, prior, n_classes)
    if ignore_index is None:
        return SmoothedLoss(*_SmoothedCrossEntropy.apply(logits, target, smoothing.alpha(n_classes), prior))
    real = target != ignore_index
    kept = smoothed_cross_entropy(logits[real], target[real], smoothing, prior)
    return scattered(kept, real)


def scattered(kept: SmoothedLoss, real: torch.Tensor) -> SmoothedLoss:
    """The rows at the places where ``real`` (N,) is true, in order, and 0 elsewhere, without the entropy."""
    return SmoothedLoss(*(row.new_zeros(real.shape).masked_scatter(real, row) for row in kept[:4]))


class _SmoothedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits: torch.Tensor, target: torch.Tensor, alpha: float, prior: torch.Tensor | None
    ) -> tuple[torch.Tensor, ...]:
        z = logits if logits.dtype == torch.float64 else logits.float()
        target_logit = z.gather(-1, target.unsqueeze(-1)).squeeze(-1)
        greatest, lse = z.amax(dim=-1), z.logsumexp(dim=-1)
        nll = lse - target_logit
        if alpha:
            prior_logit = z.mean(dim=-1) if prior is None else z @ prior.to(z)
            loss = (1 - alpha) * nll + alpha * (lse - prior_logit)
        else:  # a logit of -inf is legal here, and 0 * inf would make it NaN
            loss = nll.clone()
        confidence = (greatest - lse).exp()
        hit = is_hit(target_logit, greatest)
        ctx.save_for_backward(logits, target, lse, prior)
        ctx.alpha = alpha
        ctx.mark_non_differentiable(nll, confidence, hit)
        return loss, nll, confidence, hit

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        logits, target, lse, prior = ctx.saved_tensors
        alpha = ctx.alpha
        gradient = (logits.to(lse.dtype) - lse.unsqueeze(-1)).exp_()
        if alpha:
            gradient -= alpha / logits.size(-1) if prior is None else alpha * prior.to(gradient)
        gradient.scatter_add_(-1, target.unsqueeze(-1), gradient.new_full((len(target), 1), alpha - 1.0))
        return gradient.mul_(grads[0].unsqueeze(-1)).to(logits.dtype), None, None, None
