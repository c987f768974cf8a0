"""How often intervals hold."""

import numpy as np
import pytest

from analysis import significance


@pytest.mark.parametrize("seeds_vary", [0.0, 0.03, 0.1, 0.3, 1.0])
def test_intervals_cover_the_truth_about_as_often_as_they_say(seeds_vary):
    """Means of made-up runs whose truth is 0: three seeds, 400 items that all of them share. 95 % intervals hold it in
    92 % to 96 % of 2000 worlds: least often where the seeds vary more than the items, but not by much."""
    rng = np.random.default_rng(2)
    weights = significance.resamples(400, 1000) / 400
    held = 0
    for _ in range(2000):
        items = rng.normal(size=400)
        runs = items + seeds_vary * rng.normal(size=(3, 1)) + 0.1 * rng.normal(size=(3, 400))
        low, high = significance.estimate(runs @ weights.T).interval()
        held += low < 0 < high
    assert 0.915 < held / 2000 < 0.965


def test_one_seed_has_the_variance_of_its_items():
    vector = np.concatenate(([5.0], np.random.default_rng(3).normal(5, 2, 4000)))
    estimate = significance.estimate(vector[None])
    assert estimate.value == 5.0 and estimate.n_seeds == 1
    assert estimate.error == pytest.approx(2, rel=0.05)
    low, high = estimate.interval()
    assert (high - low) / 2 == pytest.approx(1.96 * estimate.error, rel=1e-3)


def test_resamples_are_the_same_for_sets_of_one_size():
    assert significance.resamples(7, 5) is significance.resamples(7, 5)
    assert (significance.resamples(7, 5).sum(axis=1) == 7).all() and (significance.resamples(7, 5)[0] == 1).all()


def test_a_percentile_interval_leaves_out_the_data_themselves():
    low, high = significance.percentile_interval(np.concatenate(([1e9], np.linspace(0, 1, 1001))))
    assert (low, high) == (pytest.approx(0.025), pytest.approx(0.975))


def test_the_wilson_interval_of_a_share():
    """8 of 10: [0.4902, 0.9433] (Newcombe 1998's method 3, as statsmodels gives it)."""
    low, high = significance.wilson(np.array([8.0]), np.array([10.0]))
    assert low[0] == pytest.approx(0.4902, abs=2e-4) and high[0] == pytest.approx(0.9433, abs=2e-4)
    assert significance.wilson(0.0, 715.0)[0] == 0.0 and significance.wilson(211.0, 211.0)[1] == 1.0
