"""python -m analysis.coverage: how often the 95 % intervals of this suite contain the truth, in simulations.

Two simulations of `significance`: the interval of one model's ECE, and the mean over training seeds of a difference.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator

import numpy as np
from scipy import stats
from tqdm import tqdm

from mt_ls.calibration.bins import N_BINS
from mt_ls.terminal import prepare

from . import significance
from .significance import per_prediction
from .tables.layout import text

ECES = (0.0, 0.005, 0.01, 0.02, 0.05)
N_TOKENS, N_EACH = 7000, 10
"""Tokens, and tokens of a sentence."""
_SAME_SENTENCE = 0.3
"""Correlation of the latent variables behind two hits of one sentence."""
SHAPES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "over-confident everywhere": lambda bins: np.ones(len(bins)),
    "over- and under-confident in turn": lambda bins: (-1.0) ** bins,
    "over-confident in the last bin": lambda bins: (bins == N_BINS - 1) * 1.0,
    "over-confident in the centre": lambda bins: ((bins >= 5) & (bins < 9)) * 1.0,
}
"""How the gaps of a model lie over its bins, up to their scale."""
Interval = Callable[[np.ndarray], tuple[float, float]]


def confidences(rng: np.random.Generator, n: int) -> np.ndarray:
    """``n`` confidences, distributed as a translation model's: many near 1, the others over all of [0, 1]."""
    sure = rng.random(n) < 0.45
    return np.clip(np.where(sure, rng.beta(12, 1, n), rng.beta(1.3, 1.5, n)), 0.01, 0.9999)


def _bins_of(confidence: np.ndarray) -> np.ndarray:
    return (confidence * N_BINS).astype(int).clip(max=N_BINS - 1)


class Model:
    """A model whose ECE is known: the probability of a hit is the confidence less the gap of its bin."""

    def __init__(self, shape: str, ece: float) -> None:
        direction = SHAPES[shape](np.arange(N_BINS))
        many = confidences(np.random.default_rng(0), 2_000_000)
        weight = np.bincount(_bins_of(many), minlength=N_BINS) / len(many)
        self._gaps = direction * ece / (weight * np.abs(direction)).sum()
        gap = self.probability(many) - many  # less than was asked for where a probability would leave [0, 1]
        self.ece = float(np.abs(np.bincount(_bins_of(many), gap, minlength=N_BINS)).sum() / len(many))

    def probability(self, confidence: np.ndarray) -> np.ndarray:
        """The probability of a hit at each confidence."""
        return np.clip(confidence - self._gaps[_bins_of(confidence)], 0, 1)

    def resampled_gaps(self, rng: np.random.Generator, draws: int) -> np.ndarray:
        """Gaps of the bins (draws + 1, B) of a simulated test set, as `absolute_interval` takes them for one seed."""
        confidence = confidences(rng, N_TOKENS).reshape(-1, N_EACH)
        shared, own = rng.standard_normal((len(confidence), 1)), rng.standard_normal(confidence.shape)
        latent = _SAME_SENTENCE**0.5 * shared + (1 - _SAME_SENTENCE) ** 0.5 * own
        hit = latent < stats.norm.ppf(self.probability(confidence))
        place = np.arange(len(confidence))[:, np.newaxis] * N_BINS + _bins_of(confidence)
        gaps = np.bincount(place.ravel(), (hit - confidence).ravel(), minlength=len(confidence) * N_BINS)
        weights = significance.resamples(len(confidence), draws)
        return per_prediction(gaps.reshape(-1, N_BINS), np.full(len(confidence), N_EACH), weights)


INTERVALS: dict[str, Interval] = {
    "percentile": lambda gaps: significance.percentile_interval(np.abs(gaps).sum(-1)),
    "of this suite": lambda gaps: significance.absolute_interval(gaps[np.newaxis]),
}


def of_ece(shape: str, ece: float, repetitions: int, draws: int) -> list[str]:
    """A line: shape, true ECE, mean of the ECE that is found, and of each of `INTERVALS` the coverage and the width."""
    model, rng = Model(shape, ece), np.random.default_rng(1)
    samples = [model.resampled_gaps(rng, draws) for _ in range(repetitions)]
    found = np.mean([np.abs(gaps[0]).sum() for gaps in samples])
    line = [shape, f"{model.ece:.4f}", f"{found:.4f}"]
    for interval in INTERVALS.values():
        low, high = np.array([interval(gaps) for gaps in samples]).T
        line += [f"{np.mean((low <= model.ece) & (model.ece <= high)):.3f}", f"{np.mean(high - low):.4f}"]
    return line


def of_mean(n_seeds: int, deviations: tuple[float, float, float], repetitions: int, draws: int) -> list[str]:
    """A line: seeds, the deviations of a seed, a sentence and their interaction, the coverage, and the mean half width.

    A seed's value is the mean over 500 sentences of effects of the three kinds.
    """
    rng, n_items = np.random.default_rng(2), 500
    weights = significance.resamples(n_items, draws)
    of_seed, of_item, of_both = deviations
    estimates = []
    for _ in range(repetitions):
        shared = of_item * rng.standard_normal(n_items)
        own = of_both * rng.standard_normal((n_seeds, n_items))
        effects = of_seed * rng.standard_normal((n_seeds, 1)) + shared + own
        estimates.append(significance.estimate((weights @ effects.T / n_items).T))
    low, high = np.array([one.interval() for one in estimates]).T
    return [
        str(n_seeds),
        *(f"{deviation:g}" for deviation in deviations),
        f"{np.mean((low <= 0) & (high >= 0)):.3f}",
        f"{np.mean(high - low) / 2:.4f}",
    ]


def _lines(repetitions: int, draws: int) -> Iterator[tuple[str, list[str]]]:
    for shape in SHAPES:
        for ece in ECES:
            yield "ece", of_ece(shape, ece, repetitions, draws)
    for n_seeds in (3, 6, 10):
        # In units of a sentence's deviation, whose mean has a deviation of 0.045: seeds alike, and seeds that differ.
        for of_seed in (0.0, 0.05, 0.2):
            for of_both in (0.3, 1.0):
                yield "mean", of_mean(n_seeds, (of_seed, 1.0, of_both), repetitions, draws)


def main(arguments: list[str] | None = None) -> int:
    """Print both tables, and return 0."""
    parser = argparse.ArgumentParser(prog="python -m analysis.coverage", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=1000, help="simulated test sets a line (default: 1000)")
    parser.add_argument("--draws", type=int, default=1000, help="resamples behind an interval (default: 1000)")
    options = parser.parse_args(arguments)
    if min(options.repetitions, options.draws) < 2:
        parser.error("--repetitions and --draws need at least 2")
    tables: dict[str, list[list[str]]] = {"ece": [], "mean": []}
    for name, line in tqdm(_lines(options.repetitions, options.draws), unit="line", total=38, disable=None):
        tables[name].append(line)
    columns = [f"{name}, {what}" for name in INTERVALS for what in ("coverage", "width")]
    print(f"ECE of {N_TOKENS} tokens\n")
    print(text(("gaps", "true ECE", "found, mean", *columns), tables["ece"]))
    print("\nMean over training seeds of a difference, 500 sentences\n")
    print(text(("seeds", "of seeds", "of sentences", "of both", "coverage", "half width"), tables["mean"]))
    return 0


if __name__ == "__main__":
    prepare("analysis.coverage")
    sys.exit(main())
