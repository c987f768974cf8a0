"""python -m analysis.collapsed: the mutual information that is measured for two collapsed clusters, by simulation.

Nothing but its class is known of an image whose difference of logits is its class's mean plus the same normal noise as
for every other image. With classes far apart the true information is log 2. The estimate is not, since the mean of an
image's few augmentations has noise, too (`mt_ls.vision.mutual_information`). The end of a curve is compared with this
simulation and not with log 2.
"""

from __future__ import annotations

import argparse
import sys
from functools import cache
from typing import NamedTuple

import numpy as np

from mt_ls.terminal import prepare

from .tables.layout import text

N_SIMULATIONS = 500
_SEED = 1
HEADER = ("images", "augmentations of the mean", "y", "mean, nats", "95 % of simulations", "log 2")


class Floor(NamedTuple):
    """The ``mean`` of the estimates for collapsed clusters, and the range ``low`` to ``high`` of 95 % of them, nats."""

    mean: float
    low: float
    high: float


@cache
def collapsed_information(n: int, samples: int, reused: bool) -> Floor:
    """The estimates for ``n`` images of two collapsed classes, as many of each, over `N_SIMULATIONS` simulations.

    The mean of an image is over ``samples`` augmentations. y is one of them where it is ``reused``, and a fresh one
    otherwise. Calls with the same arguments give the same numbers. Raises ValueError for less than two samples, and for
    an odd number of images or less than four.
    """
    if samples < 2 or n < 4 or n % 2:
        raise ValueError(f"{n} images, {samples} samples: two classes have at least two images and two samples each")
    rng = np.random.default_rng(_SEED)
    estimates = [_estimate(rng.standard_normal((2, n // 2, samples + 1)), reused) for _ in range(N_SIMULATIONS)]
    low, high = np.quantile(estimates, (0.025, 0.975))
    return Floor(float(np.mean(estimates)), float(low), float(high))


def _estimate(draws: np.ndarray, reused: bool) -> float:
    """The estimate from ``draws`` (2, n / 2, L + 1) about the means of two classes; the last draw is the fresh one.

    The classes are so far apart that an image has no part in the mean over the other class.
    """
    mean = draws[..., :-1].mean(axis=-1)
    y = draws[..., 0 if reused else -1]
    variance = np.square(y - mean).mean()
    others = np.square(y[:, :, None] - mean[:, None, :])  # others[c, x, x'] is of y_x and mu_x' in class c
    log_mean = np.log(np.exp(others / (-2 * variance)).sum(axis=-1) / mean.size)
    return float(-0.5 - log_mean.mean())  # the variance makes the first term -1/2


def cells(n: int) -> list[list[str]]:
    """A line for each number of augmentations and each y that records have."""
    lines = []
    for samples in (5, 50):
        for reused in (False, True):
            mean, low, high = collapsed_information(n, samples, reused)
            of_y = "one of them" if reused else "a fresh one"
            lines.append([str(n), str(samples), of_y, f"{mean:.3f}", f"{low:.3f} to {high:.3f}", f"{np.log(2):.3f}"])
    return lines


def main(arguments: list[str] | None = None) -> int:
    """Print the table; 0, or 2 with one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m analysis.collapsed", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--images", type=int, default=600, help="of both classes together (default: the paper's 600)")
    options = parser.parse_args(arguments)
    try:
        print(text(HEADER, cells(options.images)))
    except ValueError as error:
        print(f"analysis.collapsed: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    prepare("analysis.collapsed")
    sys.exit(main())
