"""Intervals: items are resampled jointly for every model, and training seeds are counted.

A quantity of one run is a vector: first its value on the data as they are, then its value on each resample. The same
resamples serve every run, so that differences of vectors are paired (Koehn 2004).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

DRAWS = 2000
"""Resamples of the items behind an interval."""


@functools.lru_cache(maxsize=4)  # drawing costs more than all that is computed on it
def resamples(n_items: int, draws: int = DRAWS) -> np.ndarray:
    """How often each item counts, (draws + 1, n_items), read only; the first row is the data as they are.

    The resamples are the same for every set of so many items, so that what is computed on them is paired.
    """
    drawn = np.random.default_rng(1).multinomial(n_items, np.full(n_items, 1 / n_items), size=draws)
    counts = np.vstack((np.ones((1, n_items)), drawn))
    counts.flags.writeable = False
    return counts


def weighted_sums(columns: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """``weights @ columns``, (draws, columns), of ``columns`` (n_items, columns)."""
    return (np.ascontiguousarray(columns.T) @ weights.T).T  # the order that BLAS does twice as fast


def per_prediction(sums: np.ndarray, n: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Means a prediction, (draws, columns), of ``sums`` (n_items,) or (n_items, columns) over ``n`` (n_items,)
    predictions."""
    total = weighted_sums(np.column_stack((sums, n)), weights)
    return total[:, :-1] / total[:, -1:]


@dataclass(frozen=True)
class Estimate:
    """A mean over training seeds, and the parts of its variance.

    ``of_seeds`` (seeds,) are the values of the seeds, ``shared`` is the variance of the items that the seeds share,
    ``of_each_seed`` that of a seed, 0 where there is one.
    """

    value: float
    of_seeds: tuple[float, ...]
    shared: float
    of_each_seed: float

    @property
    def n_seeds(self) -> int:
        """Number of training seeds."""
        return len(self.of_seeds)

    @property
    def error(self) -> float:
        """The standard error."""
        return self._error(self.n_seeds)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """The central interval of this level."""
        half = self._quantile((1 + level) / 2) * self.error
        return self.value - half, self.value + half

    def p_value(self) -> float:
        """Two-sided p-value of the hypothesis that the value is 0."""
        return min(2 * self.p_greater_than(0.0, abs(self.value)), 1.0)

    def p_greater_than(self, bound: float, value: float | None = None) -> float:
        """One-sided p-value of the hypothesis that the value, or another one of this error, is at most ``bound``."""
        distance = (self.value if value is None else value) - bound
        if not self.error:
            return 0.0 if distance > 0 else 1.0
        return float(stats.t.sf(distance / self.error, self._freedom(self.n_seeds)))

    def p_equivalent(self, margin: float) -> float:
        """p-value of two one-sided tests (Schuirmann 1987) of the hypothesis that the value is beyond ``margin``."""
        return self.p_greater_than(-margin, -abs(self.value))

    def sign_test(self) -> float:
        """Two-sided p-value of the exact sign test over the seeds; a seed at 0 does not count."""
        signs = np.sign(self.of_seeds)
        n = int(np.abs(signs).sum())
        return float(stats.binomtest(int((signs > 0).sum()), n).pvalue) if n else 1.0

    @property
    def resolution(self) -> float:
        """The least difference that data of this error find with a power of 80 %, at a level of 5 %."""
        return (self._quantile(0.975) + self._quantile(0.8)) * self.error

    def seeds_to_decide(self, most: int = 1000) -> int | None:
        """The least number of seeds at which the 95 % interval would leave out 0, if the value and the parts of the
        variance stayed; None if more than ``most``, or if the items are too few for any number."""
        for n in range(2, most + 1):
            if abs(self.value) > stats.t.ppf(0.975, self._freedom(n)) * self._error(n):
                return n
        return None

    def _error(self, n: int) -> float:
        return (self.shared + self.of_each_seed / n) ** 0.5

    def _freedom(self, n: int) -> float:
        """The degrees of freedom of Welch (1947) and Satterthwaite (1946), infinite for items alone."""
        seeds = self.of_each_seed / n
        return (self.shared + seeds) ** 2 * (n - 1) / seeds**2 if seeds else np.inf

    def _quantile(self, share: float) -> float:
        return float(stats.t.ppf(share, self._freedom(self.n_seeds)))


def estimate(values: np.ndarray) -> Estimate:
    """The estimate of vectors (seeds, draws + 1).

    Seeds differ by their training, and because each meets the same items with errors of its own (the interaction of
    seeds and items). The variance over seeds has both. That of the resamples of the mean has the second one, too: it
    counts as the least variance of the seeds, and is taken from that of the items. Of one seed only the items vary.
    ``python -m analysis.coverage`` simulates how often the intervals contain the truth.
    """
    n = len(values)
    items = float(values[:, 1:].mean(axis=0).var(ddof=1))
    of_seeds = tuple(values[:, 0].tolist())
    if n == 1:
        return Estimate(of_seeds[0], of_seeds, items, 0.0)
    interaction = _interaction(values)
    of_each_seed = max(float(values[:, 0].var(ddof=1)), interaction)
    return Estimate(float(values[:, 0].mean()), of_seeds, max(items - interaction / n, 0.0), of_each_seed)


def of_seeds(values: Sequence[float]) -> Estimate:
    """The estimate of the values of at least two seeds alone, without items."""
    return Estimate(float(np.mean(values)), tuple(values), 0.0, float(np.var(values, ddof=1)))


def _interaction(values: np.ndarray) -> float:
    """The variance of a seed that its errors on the items explain, of vectors (seeds, draws + 1); 0 of one seed."""
    own = values[:, 1:] - values[:, 1:].mean(axis=0)
    return float(own.var(axis=1, ddof=1).sum()) / max(len(values) - 1, 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values adjusted for their number (Holm 1979), in their order."""
    order = np.argsort(p_values, kind="stable")
    scaled = np.asarray(p_values)[order] * np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return adjusted.tolist()


def percentile_interval(vector: np.ndarray) -> tuple[float, float]:
    """The central 95 % of the resamples of a vector (draws + 1,)."""
    low, high = np.quantile(vector[1:], [0.025, 0.975])
    return float(low), float(high)


def absolute_sums(parts: np.ndarray) -> np.ndarray:
    """Sums of the absolute values (draws + 1,) of ``parts`` (draws + 1, B), the first without the bias of resampling.

    Noise only adds to an absolute value. The bias is estimated by that of the resamples (Efron and Tibshirani 1993,
    section 10.6), which is too small where the parts are smaller than their noise.
    """
    sums = np.abs(parts).sum(axis=-1)
    sums[0] = max(2 * sums[0] - sums[1:].mean(), 0.0)
    return sums


def absolute_interval(parts: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of a sum of absolute values, as ECE is one, from ``parts`` (seeds, draws + 1, B).

    The percentile interval of resamples lies above a small sum. This one inverts a test: a hypothetical sum is in the
    interval if the sum that was found is not among the 2.5 % most extreme ones at either end, where the resamples give
    the noise of the parts. The parts of a hypothetical sum are not known. For the upper limit they are in proportion to
    their noise, which hides most of a sum. For the lower limit they are those that were found times the third power of
    their signal-to-noise ratio, so that few parts have most of the sum. The variance of training seeds is added as in
    `estimate`.
    """
    found = parts[:, 0]
    noise = parts[:, 1:] - parts[:, :1]
    total = np.abs(found).sum(axis=-1).mean()
    deviation = np.maximum(noise.std(axis=1), np.finfo(float).tiny)
    concentrated = np.abs(found) * (np.abs(found) / deviation) ** 3
    low = _hypothetical_sum(total, np.copysign(concentrated, found), noise, 0.975)
    high = _hypothetical_sum(total, np.copysign(deviation, found), noise, 0.025)
    sums = np.stack([absolute_sums(of_seed) for of_seed in parts])
    extra = max(estimate(sums).of_each_seed - _interaction(sums), 0.0) / len(parts)
    return max(total - _widened(total - low, extra, len(parts)), 0.0), total + _widened(high - total, extra, len(parts))


def _hypothetical_sum(total: float, direction: np.ndarray, noise: np.ndarray, share: float) -> float:
    """The sum with parts along ``direction`` (seeds, B) at which ``share`` of the noisy sums are at most ``total``."""
    unit = direction / max(np.abs(direction).sum(axis=-1).mean(), np.finfo(float).tiny)

    def excess(size: float) -> float:
        sums = np.abs(size * unit[:, np.newaxis] + noise).sum(axis=-1).mean(axis=0)
        return float((sums <= total).mean()) - share

    if excess(0.0) <= 0:
        return 0.0
    greatest = 2 * total
    while excess(greatest) > 0:
        greatest *= 2
    return float(optimize.bisect(excess, 0.0, greatest, xtol=1e-5 * greatest))


def _widened(half: float, extra: float, n_seeds: int) -> float:
    """The half of a 95 % interval of items, with the ``extra`` variance of ``n_seeds`` training seeds."""
    if not extra:
        return half
    variance = (half / stats.norm.ppf(0.975)) ** 2 + extra
    return float(stats.t.ppf(0.975, variance**2 * (n_seeds - 1) / extra**2) * variance**0.5)


def wilson(hits: np.ndarray, count: np.ndarray, z: float = 1.96) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % interval of a share (Wilson 1927), low and high, of the shape of ``hits`` (a number, too).

    Predictions count as independent, so this is a lower bound on the width.
    """
    share = hits / count
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    return np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)
