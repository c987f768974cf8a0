"""The test of calibration: its statistic written out, its rate of false alarms, and what it finds."""

import numpy as np
import pytest

from mt_ls.calibration.bins import Bins
from mt_ls.calibration.t_cal import p_value, statistics


def test_the_statistic_is_the_sum_over_pairs():
    """Five confidences, one a bin. A half of the predictions is in the first three; quarters end in bins 1, 2 and 4."""
    rng = np.random.default_rng(0)
    place = np.repeat(np.arange(5), [4, 6, 3, 5, 8])
    confidence = np.array([0.1, 0.3, 0.5, 0.7, 0.9])[place]
    hit = (rng.random(26) < 0.5).astype(float)
    residual = hit - confidence

    def of_groups(group):
        total = 0.0
        for g in set(group):
            members = np.flatnonzero(group == g)
            total += sum(residual[i] * residual[j] for i in members for j in members if i != j) / len(members)
        return total / len(residual)

    count, sums, hits = (np.bincount(place, values) for values in (np.ones(26), confidence, hit))
    expected = [of_groups(group) for group in (0 * place, place > 2, np.array([0, 0, 1, 2, 2])[place], place)]
    np.testing.assert_allclose(statistics(count, sums, np.stack((hits, hits))), [expected, expected])


@pytest.mark.parametrize("n_bins", [15, 256])
@pytest.mark.parametrize(("a", "b"), [(1.2, 0.8), (6, 1)])
def test_false_alarms_are_as_frequent_as_the_level_says(n_bins, a, b):
    """400 calibrated models of 500 predictions: a level of 5 % rejects 2 % to 8 % of them, of 20 % 14 % to 26 %. These
    are three standard deviations."""
    rng = np.random.default_rng(1)
    values = []
    for _ in range(400):
        confidence = rng.beta(a, b, 500)
        bins = Bins.of(confidence, rng.random(500) < confidence, n_bins)
        values.append(p_value(bins, rng, draws=199))
    for level, spread in ((0.05, 0.033), (0.2, 0.06)):
        assert np.mean(np.array(values) <= level) == pytest.approx(level, abs=spread)


def test_it_finds_what_is_wide_and_what_is_narrow():
    """A small gap of one sign everywhere, and gaps whose sign changes from bin to bin, with the right mean."""
    rng = np.random.default_rng(2)
    confidence = rng.random(20_000)
    wide = Bins.of(confidence, rng.random(20_000) < 0.98 * confidence)
    sign = np.where((confidence * 15).astype(int) % 2, 1, -1)
    narrow = Bins.of(confidence, rng.random(20_000) < np.clip(confidence + 0.05 * sign, 0, 1))
    right = Bins.of(confidence, rng.random(20_000) < confidence)
    assert p_value(wide, rng) < 0.05 and p_value(narrow, rng) == 1 / 2000
    assert p_value(right, rng) > 0.05


def test_of_one_bin_of_none_and_of_what_cannot_be():
    rng = np.random.default_rng(3)
    assert np.isnan(p_value(Bins.zeros(), rng))
    assert p_value(Bins.of(np.full(100, 0.5), np.arange(100) < 50), rng) > 0.9
    assert p_value(Bins.of(np.ones(5), np.ones(5)), rng) == 1
    assert p_value(Bins.of(np.ones(5), [1, 1, 1, 0, 0]), rng) == 1 / 2000  # sure, and wrong
    drawn = [p_value(Bins.of([0.2, 0.7, 0.8], [1, 0, 1]), np.random.default_rng(4)) for _ in range(2)]
    assert drawn[0] == drawn[1]
