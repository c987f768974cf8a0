"""SmoothECE against relplot, a sum of kernels written out, and cases whose value is known."""

import numpy as np
import pytest
from scipy.stats import norm

from mt_ls.calibration.bins import FINE_BINS, Bins
from mt_ls.calibration.smooth_ece import smooth_ece, smooth_ece_at


def _data(n, seed, power):
    rng = np.random.default_rng(seed)
    confidence = rng.beta(3, 1, n)
    return confidence, (rng.random(n) < confidence**power).astype(float)


DATA = [_data(400, 0, 1.0), _data(1500, 1, 1.0), _data(1500, 2, 1.6), _data(1000, 3, 0.5)]


def _kernel_sum(confidence, hits, sigma):
    """The integral written out: each prediction where it is, with two reflections a side, at 2000 midpoints."""
    t = (np.arange(2000) + 0.5) / 2000
    images = [2 * k + sign * confidence for k in (-1, 0, 1) for sign in (1, -1)]
    kernel = sum(norm.pdf(t[:, None], image, sigma) for image in images)
    return np.abs(kernel @ (hits - confidence)).mean() / len(hits)


@pytest.mark.parametrize("sigma", [0.02, 0.1, 0.5])
@pytest.mark.parametrize("data", DATA)
def test_a_bandwidth_smooths_as_the_kernel_does(data, sigma):
    """The bound of the docstring is 1 / (2 B sigma); the moves within bins cancel, and leave less than a hundredth."""
    bins = Bins.of(*data, FINE_BINS)
    value = smooth_ece_at(bins, sigma)
    assert value == pytest.approx(_kernel_sum(*data, sigma), abs=0.01 / (2 * FINE_BINS * sigma))
    assert 0 < value < bins.ece()


@pytest.mark.parametrize("data", DATA)
def test_it_is_relplots(data):
    """relplot halves [0, 1] ten times and takes the upper end, up to 1/1024 from the fixed point; on its grid of 200
    points and of 2000 it is within 0.5 % of the integral."""
    relplot = pytest.importorskip("relplot")
    value, width = relplot.smECE(*data, return_width=True)
    bins = Bins.of(*data, FINE_BINS)
    assert smooth_ece_at(bins, width) == pytest.approx(value, rel=0.005)
    assert smooth_ece(bins) == pytest.approx(width, abs=1 / 1024 + 0.005 * width)


def test_one_confidence_with_a_wide_kernel():
    """All residuals of one sign: no smoothing takes any away, so smECE is the gap, as ECE is."""
    hits = np.repeat([1.0, 0.0], [30, 70])
    assert smooth_ece(Bins.of(np.full(100, 0.8), hits, FINE_BINS)) == pytest.approx(0.5, abs=1e-8)
    assert smooth_ece(Bins.of(np.ones(9), np.zeros(9), FINE_BINS)) == pytest.approx(1.0, abs=1e-8)
    assert smooth_ece(Bins.of(np.ones(9), np.ones(9), FINE_BINS)) == 0.0


def test_two_opposite_residuals_nearby():
    """Two deltas of +a and -a at a distance 2 d around 1/2: the integral is 2 a (2 Phi(d / sigma) - 1) far from the
    ends, and smECE solves it. Bins cannot know it: ECE is 2 a in two bins, and 0 in one."""
    count = np.zeros(FINE_BINS)
    left, right = int(0.48 * FINE_BINS), int(0.52 * FINE_BINS)
    count[[left, right]] = 500
    middle = (np.arange(FINE_BINS) + 0.5) / FINE_BINS
    hits = count * middle
    hits[left] += 100
    hits[right] -= 100
    bins = Bins.from_sums([count, count * middle, hits])
    d = (middle[right] - middle[left]) / 2
    value = smooth_ece(bins)
    assert value == pytest.approx(0.2 * (2 * norm.cdf(d / value) - 1), abs=1e-6)
    assert 0.03 < value < 0.1 < bins.ece() == pytest.approx(0.2)


def test_more_smoothing_never_raises_it_and_it_is_the_fixed_point():
    bins = Bins.of(*DATA[2], FINE_BINS)
    values = [smooth_ece_at(bins, sigma) for sigma in (0, 0.001, 0.01, 0.03, 0.1, 0.3, 1, 2)]
    assert values[0] == pytest.approx(bins.ece()) and values == sorted(values, reverse=True)
    assert values[-1] == pytest.approx(abs(bins.accuracy - bins.mean_confidence), rel=1e-6)
    value = smooth_ece(bins)
    assert smooth_ece_at(bins, value) == pytest.approx(value, abs=1e-6)


def test_of_sums_that_add_up_and_of_none():
    confidence, hits = DATA[3]
    parts = [Bins.of(confidence[part], hits[part], FINE_BINS) for part in (slice(0, 300), slice(300, None))]
    assert smooth_ece(parts[0] + parts[1]) == pytest.approx(smooth_ece(Bins.of(confidence, hits, FINE_BINS)), abs=1e-9)
    assert np.isnan(smooth_ece(Bins.zeros(FINE_BINS)))
    diverged = np.ones((3, FINE_BINS))
    diverged[1] = np.nan
    assert np.isnan(smooth_ece(Bins.from_sums(diverged)))
