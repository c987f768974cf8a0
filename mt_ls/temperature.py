"""One temperature: many of them from a single forward pass, and the best one by held-out likelihood.

Temperature scaling (Guo et al. 2017, section 4.2) divides the logits by T: p = softmax(z / T). The argmax stays;
T > 1 softens. Only logsumexp(z / T) is new at each T, so a grid costs one pass over the logits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch

Batches = Callable[[], Iterable[tuple[torch.Tensor, torch.Tensor]]]


class TokenStatistics(NamedTuple):
    """One value a token: ``nll`` (nats), ``confidence`` (greatest probability), ``hit`` and ``brier``, each (N,)."""

    nll: torch.Tensor
    confidence: torch.Tensor
    hit: torch.Tensor
    brier: torch.Tensor


def check_temperature(temperature: float) -> float:
    """The temperature itself. Raises ValueError unless it is finite and > 0."""
    if not (math.isfinite(temperature) and temperature > 0):
        raise ValueError(f"a temperature must be greater than 0, not {temperature:g}")
    return temperature


def at_temperatures(
    logits: torch.Tensor, target: torch.Tensor, temperatures: Sequence[float]
) -> list[TokenStatistics]:
    """Statistics of ``logits`` (N, K) for ``target`` (N,) at each temperature, in their order.

    The Brier score is the multi-class one, sum_k (p_k - [k = y])^2, in [0, 2] (Brier 1950).
    Raises ValueError for a temperature that is not > 0.
    """
    logits = logits if logits.dtype == torch.float64 else logits.float()
    top, guess = logits.max(dim=-1)
    gold = logits.gather(-1, target.unsqueeze(-1)).squeeze(-1)
    hit = guess == target
    statistics = []
    for temperature in map(check_temperature, temperatures):
        probabilities = torch.softmax(logits / temperature, dim=-1)
        # log p_max from p_max itself: the largest probability is never small, so nothing is lost.
        confidence = probabilities.amax(dim=-1)
        lse = top / temperature - confidence.log()
        nll = lse - gold / temperature
        brier = probabilities.square().sum(dim=-1) - 2 * (-nll).exp() + 1
        statistics.append(TokenStatistics(nll, confidence, hit, brier))
    return statistics


def fit_temperature(batches: Batches, low: float = 0.05, high: float = 20.0, tolerance: float = 1e-4) -> float:
    """The temperature in [low, high] that minimises the mean NLL of held-out data, to a relative tolerance.

    ``batches()`` starts a fresh pass over pairs of logits (N, K) and targets (N,). The NLL is convex in 1/T, with
    slope E[z_y] - E_p[z] negated, so Newton's method, kept inside a bracket, needs a handful of passes.
    Raises ValueError when there is no token.
    """
    inverse, lower, upper = 1.0, 1 / high, 1 / low
    for _ in range(50):
        slope, curvature = _nll_derivatives(batches(), inverse)
        lower, upper = (inverse, upper) if slope < 0 else (lower, inverse)
        step = inverse - slope / curvature if curvature > 0 else math.inf
        proposal = step if lower < step < upper else math.sqrt(lower * upper)
        if abs(proposal - inverse) <= tolerance * inverse:
            return 1 / proposal
        inverse = proposal
    return 1 / inverse


def _nll_derivatives(batches: Iterable[tuple[torch.Tensor, torch.Tensor]], inverse: float) -> tuple[float, float]:
    """First and second derivative of the mean NLL with respect to 1/T."""
    slope = curvature = 0.0
    n = 0
    for logits, target in batches:
        # Centred on the reference's logit, the slope is a mean of differences and cancels little.
        z = logits.double() - logits.gather(-1, target.unsqueeze(-1)).double()
        p = torch.softmax(z * inverse, dim=-1)
        mean = (p * z).sum(-1)
        slope += mean.sum().item()
        curvature += ((p * z.square()).sum(-1) - mean.square()).sum().item()
        n += len(target)
    if not n:
        raise ValueError("no token to fit a temperature on")
    return slope / n, curvature / n
