"""Statistics at many temperatures from one pass over logits, and the temperature of greatest held-out likelihood.

Temperature scaling (Guo et al. 2017, section 4.2) divides the logits by T: p = softmax(z / T). The argmax stays the
same, and T > 1 lowers the confidence. Only logsumexp(z / T) is new at each T, so a grid of temperatures costs one pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch

from . import gpu
from .hits import is_hit

# Logits of a chunk of rows: 4 MB in float32, which stay in a CPU's cache for all temperatures. Elsewhere 256 MB.
_CPU_ELEMENTS = 2**20
_DEVICE_ELEMENTS = 2**26
_LOG2_E = 1 / math.log(2)

LEAST, GREATEST = 0.05, 20.0
"""The temperatures between which `fit_temperature` searches by default."""

Batches = Callable[[], Iterable[tuple[torch.Tensor, torch.Tensor]]]


class TokenStatistics(NamedTuple):
    """``nll`` (nats), ``confidence`` (greatest probability) and ``brier`` of N predictions, each (T, N); ``hit`` (N,).

    A hit at one of the T temperatures is a hit at all of them.
    """

    nll: torch.Tensor
    confidence: torch.Tensor
    brier: torch.Tensor
    hit: torch.Tensor


def check_temperature(temperature: float) -> float:
    """Return the temperature. Raises ValueError unless it is finite and > 0."""
    if not (math.isfinite(temperature) and temperature > 0):
        raise ValueError(f"a temperature must be greater than 0, not {temperature:g}")
    return temperature


@torch.no_grad()
def at_temperatures(logits: torch.Tensor, target: torch.Tensor, temperatures: Sequence[float]) -> TokenStatistics:
    """Statistics of ``logits`` (N, K) for ``target`` (N,) at each of the temperatures, in order.

    With e = exp((z - max z) / T) and s = sum e: confidence = 1 / s, nll = log s - (z_y - max z) / T, and the sum of
    squared probabilities is |e|^2 / s^2. So each temperature costs one exponential and two reductions; on a GPU with
    Triton one kernel reads the logits once for all of them. The Brier score is the multi-class one,
    sum_k (p_k - [k = y])^2, in [0, 2] (Brier 1950). Raises ValueError for a temperature that is not > 0, or another
    number of targets.
    """
    for temperature in temperatures:
        check_temperature(temperature)
    if target.shape != logits.shape[:1]:
        raise ValueError(f"{len(logits)} rows of logits need as many targets, not {tuple(target.shape)}")
    if gpu.serves(logits):
        from .temperature_kernel import statistics_at

        (nll, confidence, brier), hit = statistics_at(logits, target, temperatures)
        return TokenStatistics(nll, confidence, brier, hit)
    logits = logits if logits.dtype == torch.float64 else logits.float()
    columns = logits.new_empty(3, len(temperatures), len(target))
    hit = torch.empty(len(target), dtype=torch.bool, device=logits.device)
    elements = _CPU_ELEMENTS if logits.device.type == "cpu" else _DEVICE_ELEMENTS
    step = max(16, elements // logits.size(-1))
    buffer = logits.new_empty(min(step, len(target)), logits.size(-1))
    for start in range(0, len(target), step):
        rows = slice(start, start + step)
        z, e = logits[rows], buffer[: len(target[rows])]
        top = z.amax(dim=-1, keepdim=True)
        centred = (z.gather(-1, target[rows].unsqueeze(-1)) - top)[:, 0]  # the target's logit
        hit[rows] = is_hit(centred, torch.zeros_like(centred))
        for i, temperature in enumerate(temperatures):
            scale = _LOG2_E / temperature
            torch.add(top * -scale, z, alpha=scale, out=e).exp2_()  # half the time of exp on a CPU
            s = e.sum(dim=-1)
            nll = s.log() - centred / temperature
            squares = torch.linalg.vector_norm(e, dim=-1) / s
            columns[:, i, rows] = torch.stack((nll, s.reciprocal(), squares.square() - 2 * (-nll).exp() + 1))
    nll, confidence, brier = columns
    return TokenStatistics(nll, confidence, brier, hit)


def fit_temperature(batches: Batches, low: float = LEAST, high: float = GREATEST, tolerance: float = 1e-3) -> float:
    """The temperature in [low, high] that minimises the mean NLL of held-out data.

    ``batches()`` starts a new pass over pairs of logits (N, K) and targets (N,). The NLL is convex in 1/T, with
    slope E_p[z] - z_y. Newton's method inside a bracket needs a handful of passes, and ends after a relative step
    below ``tolerance``; its error is of the order of the square of that step. Raises ValueError if there is no token.
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
    slope = curvature = torch.zeros((), dtype=torch.float64)  # on the device of the data: a GPU is asked once
    n = 0
    for logits, target in batches:
        z = logits if logits.dtype == torch.float64 else logits.float()
        # Centred on the target's logit, the slope is a mean of differences: little cancellation.
        z = z - z.gather(-1, target.unsqueeze(-1))
        weighted = torch.softmax(z * inverse, dim=-1).mul_(z)
        mean = weighted.sum(-1)
        slope = slope.to(z.device) + mean.sum(dtype=torch.float64)
        variance = weighted.mul_(z).sum(-1) - mean.square()
        curvature = curvature.to(z.device) + variance.sum(dtype=torch.float64)
        n += len(target)
    if not n:
        raise ValueError("no token to fit a temperature on")
    return slope.item() / n, curvature.item() / n
