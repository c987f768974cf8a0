"""ECE against torchmetrics, scikit-learn and a brute force; bins as a monoid."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.calibration import calibration_curve
from torchmetrics.functional.classification import binary_calibration_error

from mt_ls.calibration.bins import FINE_BINS, Bins

CONFIDENCES = arrays(np.float64, st.integers(1, 60), elements=st.floats(0, 1))


def _data(n=5000, seed=0):
    rng = np.random.default_rng(seed)
    confidence = rng.beta(3, 1.5, n)
    return confidence, rng.random(n) < confidence**1.5


def brute_force_ece(confidence, hits, n_bins=15):
    """Guo et al. 2017, eq. 3, one prediction at a time."""
    total = 0.0
    for b in range(n_bins):
        members = [i for i, c in enumerate(confidence) if min(int(c * n_bins), n_bins - 1) == b]
        if members:
            gap = np.mean([hits[i] for i in members]) - np.mean([confidence[i] for i in members])
            total += len(members) / len(confidence) * abs(gap)
    return total


def test_ece_is_that_of_the_witnesses():
    confidence, hits = _data()
    bins = Bins.of(confidence, hits)
    assert bins.ece() == pytest.approx(brute_force_ece(confidence, hits), abs=1e-12)
    data = torch.tensor(confidence), torch.tensor(hits).int()
    assert bins.ece() == pytest.approx(binary_calibration_error(*data, n_bins=15, norm="l1").item(), abs=1e-6)
    assert bins.mce() == pytest.approx(binary_calibration_error(*data, n_bins=15, norm="max").item(), abs=1e-6)
    expected_accuracy, expected_confidence = calibration_curve(hits, confidence, n_bins=15)
    mean_confidence, accuracy, count = bins.curve()
    np.testing.assert_allclose(mean_confidence, expected_confidence)
    np.testing.assert_allclose(accuracy, expected_accuracy)
    assert count.sum() == bins.n == 5000 and bins.accuracy == pytest.approx(hits.mean())


def test_the_ece_is_what_is_over_and_what_is_under():
    """A bin of 10 at 0.9 with 8 hits, and one of 30 at 0.5 with 18."""
    bins = Bins.of([0.9] * 10 + [0.5] * 30, [1] * 8 + [0] * 2 + [1] * 18 + [0] * 12)
    assert (bins.over(), bins.under()) == (pytest.approx(1 / 40), pytest.approx(3 / 40))
    whole = Bins.of(*_data())
    assert min(whole.over(), whole.under()) >= 0 and whole.over() + whole.under() == pytest.approx(whole.ece())
    assert whole.over() - whole.under() == pytest.approx(whole.mean_confidence - whole.accuracy)
    assert np.isnan(Bins.zeros().over()) and np.isnan(Bins.zeros().under())


def test_confidence_one_falls_into_the_last_bin():
    """scikit-learn does the same; torchmetrics gives 1.0 a bin of its own."""
    confidence, hits = np.array([0.95, 1.0]), np.array([1.0, 0.0])
    assert Bins.of(confidence, hits).count[-1] == 2
    assert Bins.of(confidence, hits).ece() == pytest.approx(abs(0.5 - 0.975))
    assert len(calibration_curve(hits, confidence, n_bins=15)[0]) == 1
    of_torchmetrics = binary_calibration_error(torch.tensor(confidence), torch.tensor([1, 0]), n_bins=15)
    assert of_torchmetrics.item() == pytest.approx((0.05 + 1.0) / 2)


@given(CONFIDENCES, st.integers(0, 2**32 - 1), st.integers(0, 60))
def test_bins_add_up_in_any_order(confidence, seed, cut):
    rng = np.random.default_rng(seed)
    hits = rng.random(len(confidence)) < 0.5
    whole = Bins.of(confidence, hits)
    parts = Bins.of(confidence[:cut], hits[:cut]) + Bins.of(confidence[cut:], hits[cut:])
    order = rng.permutation(len(confidence))
    shuffled = Bins.of(confidence[order], hits[order])
    for other in (parts, shuffled):
        np.testing.assert_array_equal(whole.count, other.count)
        np.testing.assert_allclose(whole.confidence, other.confidence, atol=1e-12)
        np.testing.assert_array_equal(whole.hits, other.hits)
    assert 0 <= whole.ece() <= whole.mce() + 1e-12 <= 1 + 1e-9
    mass = Bins.of(confidence, hits, FINE_BINS).equal_mass()
    assert mass.n == len(confidence) and len(mass.count) <= 15
    assert 0 <= mass.ece() <= 1


def test_equal_mass_bins_are_those_of_sorted_data():
    """Against numpy's split of the sorted confidences, which no two fine bins share."""
    rng = np.random.default_rng(0)
    confidence = rng.permutation(np.arange(0.5, 3000) / FINE_BINS)
    hits = rng.random(3000) < confidence
    mass = Bins.of(confidence, hits, FINE_BINS).equal_mass()
    order = np.argsort(confidence)
    groups = list(zip(np.array_split(confidence[order], 15), np.array_split(hits[order], 15), strict=True))
    np.testing.assert_array_equal(mass.count, [len(part) for part, _ in groups])
    np.testing.assert_allclose(mass.confidence, [part.sum() for part, _ in groups])
    assert mass.ece() == pytest.approx(sum(abs(part.sum() - part_hits.sum()) for part, part_hits in groups) / 3000)
    tied = Bins.of(np.full(7, 0.4), np.ones(7), FINE_BINS).equal_mass()
    assert tied.n == 7 and tied.ece() == pytest.approx(0.6)


def test_noise_floor_and_debiasing():
    """A calibrated model of 10 000 tokens has an ECE near 0.011, of which the debiased estimate removes nearly all."""
    rng = np.random.default_rng(0)
    confidence = rng.beta(1.2, 0.8, 10_000)
    bins = Bins.of(confidence, rng.random(10_000) < confidence)
    mean, deviation = bins.noise_floor(rng)
    assert 0.008 < mean < 0.014 and 0.001 < deviation < 0.004
    assert abs(bins.ece() - mean) < 4 * deviation
    wrong = Bins.of(confidence, rng.random(10_000) < 0.5 * confidence)
    assert wrong.ece2_debiased() > 0.2 > 0.02 > bins.ece2_debiased()


def test_views_of_nothing_and_bad_input():
    empty = Bins.zeros()
    assert np.isnan(empty.ece()) and np.isnan(empty.accuracy) and empty.n == 0
    with pytest.raises(ValueError, match="outside"):
        Bins.of([0.5, np.nan], [1, 0])
    with pytest.raises(ValueError, match="2 confidences but 1 hits"):
        Bins.of([0.5, 0.5], [1])
    with pytest.raises(ValueError, match="different edges"):
        empty + Bins.zeros(20)


def test_json_is_a_round_trip():
    confidence, hits = _data(200)
    for bins in (Bins.of(confidence, hits), Bins.of(confidence, hits, FINE_BINS).equal_mass(), Bins.zeros(3)):
        restored = Bins.from_json(bins.to_json())
        for name in ("edges", "count", "confidence", "hits"):
            np.testing.assert_array_equal(getattr(restored, name), getattr(bins, name))
    assert "edges" not in Bins.zeros().to_json()


@pytest.mark.parametrize(
    "change",
    [
        {"count": [1.0]},
        {"hits": [-1.0, 0.0]},
        {"confidence": [np.nan, 0.0]},
        {"edges": [0.0, 1.0]},
        {"count": [[1.0, 2.0]]},
    ],
)
def test_json_that_is_no_bins_is_refused(change):
    with pytest.raises(ValueError, match="bins need"):
        Bins.from_json({"count": [1.0, 2.0], "confidence": [0.1, 1.5], "hits": [0.0, 1.0], **change})
