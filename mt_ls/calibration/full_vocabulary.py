"""Calibration of whole distributions: the weighted ECE of Kumar and Sarawagi (2019, arXiv 1903.00802).

Every probability p_i(y) that prediction i gives to a class y is in a bin, not the greatest one alone, and weighs as
much as it is. With L predictions and the target y_i:

    weighted ECE = 1/L sum_b | sum_{i, y: p_i(y) in bin b} p_i(y) ([y_i = y] - p_i(y)) |

So the tens of thousands of tiny probabilities count by their mass. Only the N_BINS greatest classes can be above the
first bin, whatever the temperature: all others are that bin's, by what is missing from the sums of all classes, which
are 1 and the squared norm that the Brier score has. One selection of the greatest logits serves all temperatures.
"""

from __future__ import annotations

import torch

from .bins import N_BINS
from .sums import bin_index
from .temperature import TokenStatistics

_BLOCKS = 8
"""Blocks of classes whose maxima are taken first: selecting from those takes half the time on a CPU."""


def greatest_logits(logits: torch.Tensor, k: int = N_BINS) -> torch.Tensor:
    """The min(k, K) greatest logits of each row of ``logits`` (N, K), descending: (k, N), float32.

    Written as a matrix of _BLOCKS rows, the classes have a greatest logit a column. The k greatest of all are in the k
    columns where that is greatest.
    """
    width = logits.size(-1) // _BLOCKS
    if width > k:
        whole, rest = logits[:, : width * _BLOCKS].unflatten(-1, (_BLOCKS, width)), logits[:, width * _BLOCKS :]
        columns = whole.amax(1).topk(k, sorted=False).indices
        chosen = whole.gather(2, columns.unsqueeze(1).expand(-1, _BLOCKS, -1)).flatten(1)
        logits = torch.cat((chosen, rest), dim=-1)
    return logits.topk(min(k, logits.size(-1))).values.float().t()


def mass_sums(
    statistics: TokenStatistics, greatest: torch.Tensor, temperature: float, n_bins: int = N_BINS
) -> torch.Tensor:
    """Sums (3, n_bins) in float64 over all classes of N predictions: of p, of p^2, and of p of the targets.

    As count, confidence and hits of `Bins` they have the weighted ECE as their `ece`: p weighs a probability p and a
    hit. ``statistics`` are those at the temperature, each (N,); ``greatest`` is `greatest_logits` with k >= n_bins.
    """
    probability = statistics.confidence * ((greatest - greatest[0]) / temperature).exp()
    p = probability[probability >= 1 / n_bins].clamp(max=1.0)
    target = (-statistics.nll).exp().clamp(max=1.0)
    squares = statistics.brier.sum(dtype=torch.float64) - len(target) + 2 * target.sum(dtype=torch.float64)
    mass, of_squares, of_targets = (
        torch.bincount(bin_index(values, n_bins), weights.double(), minlength=n_bins).double()
        for values, weights in ((p, p), (p, p.double().square()), (target, target))
    )
    mass[0] += (len(target) - mass.sum()).clamp(min=0)
    of_squares[0] += (squares - of_squares.sum()).clamp(min=0)
    return torch.stack((mass, of_squares, of_targets))
