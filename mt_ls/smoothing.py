"""The label-smoothed cross entropy, its gradient and its calibration statistics from one pass over the logits.

For a row z of K logits with reference y, lse = logsumexp(z), everything is in nats:

    nll        = lse - z_y
    loss       = (1 - a) nll + a (lse - mean z)          Müller et al. 2019, section 1.1
    confidence = exp(max z - lse),  hit = [argmax z = y]
    gradient   = softmax(z) - q,    q = (1 - a) onehot(y) + a / K

fairseq (since 0.12) puts epsilon / (K - 1) on each wrong class instead; that is the paper's loss with
a = epsilon K / (K - 1), so one formula serves both.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

CONVENTIONS = ("paper", "fairseq")


class SmoothedLoss(NamedTuple):
    """One value a row: ``loss`` and ``nll`` in nats, ``confidence`` in [0, 1] and ``hit``, each (N,).
    Only ``loss`` carries a gradient."""

    loss: torch.Tensor
    nll: torch.Tensor
    confidence: torch.Tensor
    hit: torch.Tensor


def paper_alpha(smoothing: float, convention: str, n_classes: int) -> float:
    """The paper's alpha that equals ``smoothing`` under ``convention`` ("paper" or "fairseq") for K classes.

    Raises ValueError for another convention, or a smoothing outside [0, 1).
    """
    if not 0.0 <= smoothing < 1.0:
        raise ValueError(f"label smoothing must lie in [0, 1), not {smoothing}")
    if convention == "paper":
        return smoothing
    if convention == "fairseq":
        return smoothing * n_classes / (n_classes - 1)
    raise ValueError(f"unknown smoothing convention {convention!r}: choose one of {', '.join(CONVENTIONS)}")


def smoothed_cross_entropy(
    logits: torch.Tensor, target: torch.Tensor, smoothing: float = 0.0, convention: str = "paper"
) -> SmoothedLoss:
    """Loss, NLL, confidence and hit of each row of ``logits`` (N, K) for ``target`` (N,) of class indices.

    Arithmetic is float32 at least, whatever the logits are; log-probabilities serve as logits too. Rows to be
    ignored (padding) are the caller's to leave out. Raises ValueError as `paper_alpha` does.
    """
    alpha = paper_alpha(smoothing, convention, logits.size(-1))
    return SmoothedLoss(*_SmoothedCrossEntropy.apply(logits, target, alpha))


class _SmoothedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, target: torch.Tensor, alpha: float) -> tuple[torch.Tensor, ...]:
        z = logits if logits.dtype == torch.float64 else logits.float()
        top, guess = z.max(dim=-1)
        lse = z.logsumexp(dim=-1)
        nll = lse - z.gather(-1, target.unsqueeze(-1)).squeeze(-1)
        # With alpha = 0 a logit of -inf is legal: do not let 0 * inf make it NaN.
        loss = (1 - alpha) * nll + alpha * (lse - z.mean(dim=-1)) if alpha else nll.clone()
        confidence = (top - lse).exp()
        hit = guess == target
        ctx.save_for_backward(logits, target, lse)
        ctx.alpha = alpha
        ctx.mark_non_differentiable(nll, confidence, hit)
        return loss, nll, confidence, hit

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        logits, target, lse = ctx.saved_tensors
        gradient = (logits.to(lse.dtype) - lse.unsqueeze(-1)).exp_()
        if ctx.alpha:
            gradient -= ctx.alpha / logits.size(-1)
        gradient.scatter_add_(
            -1, target.unsqueeze(-1), gradient.new_full((len(target), 1), ctx.alpha - 1.0)
        )
        return gradient.mul_(grads[0].unsqueeze(-1)).to(logits.dtype), None, None
