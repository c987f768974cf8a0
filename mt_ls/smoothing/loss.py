"""The label-smoothed cross entropy, its gradient and its calibration statistics from one pass over the logits.

For a row z of K logits with reference y, lse = logsumexp(z), everything is in nats:

    nll        = lse - z_y
    loss       = (1 - a) nll + a (lse - mean z)          Müller et al. 2019, section 1.1
    confidence = exp(max z - lse),  hit = [argmax z = y]
    gradient   = softmax(z) - q,    q = (1 - a) onehot(y) + a / K

fairseq (since 0.12) puts epsilon / (K - 1) on each wrong class instead; that is the paper's loss with
a = epsilon K / (K - 1), so one formula serves both.

Where the logits are the last thing that a model computes, `linear_smoothed_cross_entropy` makes them itself, a chunk of
rows at a time, and leaves no (N, K) tensor behind.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch

CONVENTIONS = ("paper", "fairseq")
PRODUCTS = ("float32", "bfloat16")


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
        gradient.scatter_add_(-1, target.unsqueeze(-1), gradient.new_full((len(target), 1), ctx.alpha - 1.0))
        return gradient.mul_(grads[0].unsqueeze(-1)).to(logits.dtype), None, None


# Logits of a chunk of rows: 16 MB in float32, so that one product's output is still in cache for the next, but not so
# few rows that the products with them are slow.
_CHUNK_ELEMENTS = 2**22
_CHUNK_ROWS = 256
_LOG2_E = 1 / math.log(2)


def chunk_rows(n_classes: int) -> int:
    """How many rows of logits of so many classes to hold at a time."""
    return max(_CHUNK_ROWS, _CHUNK_ELEMENTS // n_classes)


def project(features: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Logits (N, K) of ``features`` (N, D) and ``weight`` (K, D), without a gradient.

    In float32 on a CPU by oneDNN, whose product is faster than MKL's, most of all where the processor is not Intel's.
    """
    if features.dtype == torch.float32 and features.device.type == "cpu" and _has_onednn():
        return torch.ops.mkldnn._linear_pointwise(features, weight, None, "none", [], "")
    return torch.mm(features, weight.t())


def _has_onednn() -> bool:
    # A private operator, though the one that torch.compile uses: any torch without it takes the other product.
    present = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    return present and torch.get_float32_matmul_precision() == "highest"


def linear_smoothed_cross_entropy(
    features: torch.Tensor,
    weight: torch.Tensor,
    target: torch.Tensor,
    smoothing: float = 0.0,
    convention: str = "paper",
    products: str = "float32",
) -> tuple[torch.Tensor, SmoothedLoss]:
    """The sum over rows of the loss of logits ``features @ weight.T``, and the values of each row.

    ``features`` (N, D), ``weight`` (K, D), ``target`` (N,). Only the sum carries gradients, to features and weight;
    they are computed in the same pass, so memory grows with N D + K D and a constant, not with N K. A row whose
    reference shares the greatest logit with another class is a hit.

    With ``products="bfloat16"`` the three matrix products of float32 inputs round their factors and results to bfloat16
    and accumulate in float32; the softmax stays float32, and hits that rounding has tied are decided by exact logits.
    Raises ValueError as `paper_alpha` and `check_products` do.
    """
    alpha = paper_alpha(smoothing, convention, weight.size(0))
    half = check_products(products) == "bfloat16" and features.dtype == torch.float32
    factors = torch.bfloat16 if half else features.dtype
    total, *rows = _LinearSmoothedCrossEntropy.apply(features, weight, target, alpha, factors, torch.is_grad_enabled())
    return total, SmoothedLoss(*rows)


def check_products(products: str) -> str:
    """The name itself. Raises ValueError for another than `PRODUCTS`, or bfloat16 on a processor that has none: there
    it would be slower than float32."""
    if products not in PRODUCTS:
        raise ValueError(f"unknown precision of products {products!r}: choose one of {', '.join(PRODUCTS)}")
    if products == "bfloat16" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        raise ValueError("bfloat16 products need a processor with AVX-512 BF16 or AMX, and this is none: use float32")
    return products


class _LinearSmoothedCrossEntropy(torch.autograd.Function):
    """Per chunk: e = exp(z - max z), s = sum e, so softmax(z) = e / s. The products with e run unnormalised and their
    small sides are scaled by 1/s; the uniform part of q, a / K, enters through the mean of the weight's rows."""

    @staticmethod
    def forward(
        ctx: Any,
        features: torch.Tensor,
        weight: torch.Tensor,
        target: torch.Tensor,
        alpha: float,
        factors: torch.dtype,
        with_gradient: bool,
    ) -> tuple[torch.Tensor, ...]:
        (n, width), n_classes = features.shape, weight.size(0)
        exact = torch.promote_types(features.dtype, torch.float32)
        nll, spread, confidence = features.new_empty(3, n, dtype=exact)
        hit = torch.empty(n, dtype=torch.bool, device=features.device)
        mean_row = weight.mean(dim=0, dtype=exact)
        if with_gradient:
            d_features = features.new_empty(n, width, dtype=exact)
            d_weight = weight.new_zeros(weight.shape, dtype=exact)
        w = weight.to(factors)
        tied: list[torch.Tensor] = []
        step = chunk_rows(n_classes)
        for start in range(0, n, step):
            rows = slice(start, start + step)
            x, y = features[rows].to(factors), target[rows].unsqueeze(-1)
            logits = project(x, w)
            z = logits.to(exact)
            gold, top = z.gather(-1, y), z.amax(dim=-1, keepdim=True)
            hit[rows] = (gold == top)[:, 0]
            if factors != features.dtype:
                tied.append(start + _ties(z, y, gold))
            e = torch.add(top * -_LOG2_E, z, alpha=_LOG2_E, out=z).exp2_()  # faster than exp on a CPU
            s = e.sum(dim=-1, keepdim=True)
            lse = top + s.log()
            nll[rows], confidence[rows] = (lse - gold)[:, 0], s.reciprocal()[:, 0]
            spread[rows] = lse[:, 0] - features[rows].to(exact) @ mean_row
            if with_gradient:
                e.scatter_add_(-1, y, (alpha - 1) * s)
                e = logits.copy_(e)  # the same storage, unless the products have half the precision
                d_features[rows] = torch.mm(e, w) / s
                _add_product(d_weight, e.t(), (features[rows] / s).to(factors))
            del logits, z, e  # or two chunks of logits are held
        # What rounding has tied, exact logits decide.
        for places in torch.cat(tied).split(step) if tied else ():
            hit[places] = project(features[places], weight).argmax(dim=-1) == target[places]
        loss = (1 - alpha) * nll + alpha * spread
        if with_gradient:
            if alpha:
                d_features -= alpha * mean_row
                d_weight -= alpha / n_classes * features.sum(dim=0, dtype=exact)
            ctx.save_for_backward(d_features, d_weight)
            ctx.dtypes = features.dtype, weight.dtype
        ctx.mark_non_differentiable(loss, nll, confidence, hit)
        return loss.sum(), loss, nll, confidence, hit

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        # Mostly the loss ends the graph, and there is nothing to scale and to copy. (A GPU is not asked: that waits.)
        as_it_is = grads[0].device.type == "cpu" and grads[0] == 1
        d_features, d_weight = (
            (gradient if as_it_is else gradient * grads[0]).to(dtype)
            for gradient, dtype in zip(ctx.saved_tensors, ctx.dtypes, strict=True)
        )
        return d_features, d_weight, None, None, None, None


def _ties(z: torch.Tensor, y: torch.Tensor, gold: torch.Tensor) -> torch.Tensor:
    """Which rows' reference shares the greatest logit with another class."""
    rival = z.scatter_(-1, y, -torch.inf).amax(dim=-1, keepdim=True)
    z.scatter_(-1, y, gold)
    return (gold == rival).nonzero()[:, 0]


def _add_product(total: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> None:
    """``total += left @ right``, in the precision of ``total``."""
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    else:
        total += torch.mm(left, right)
