"""A tally of batches is that of all predictions at once."""

import math

import numpy as np
import pytest
import torch

from mt_ls.calibration.bins import FINE_BINS, Bins
from mt_ls.calibration.tally import Tally
from mt_ls.calibration.temperature import TokenStatistics, at_temperatures


def _statistics(n, temperature=1.0):
    torch.manual_seed(1)
    nll, confidence, brier, hit = at_temperatures(3 * torch.randn(n, 9), torch.randint(9, (n,)), [temperature])
    return TokenStatistics(nll[0], confidence[0], brier[0], hit)


def test_fields_are_means_over_all_predictions():
    statistics = _statistics(400)
    tally = Tally()
    for rows in (slice(0, 100), slice(100, 100), slice(100, 400)):
        part = TokenStatistics(*(column[rows] for column in statistics))
        tally.add(part, torch.arange(len(part.hit)), len(part.hit))
    fields = tally.fields()
    assert fields["n_tokens"] == 400
    assert fields["nll"] == pytest.approx(statistics.nll.mean().item(), rel=1e-6)
    assert fields["perplexity"] == math.exp(fields["nll"])
    assert fields["brier"] == pytest.approx(statistics.brier.mean().item(), rel=1e-6)
    assert fields["accuracy"] == pytest.approx(statistics.hit.double().mean().item())
    assert fields["confidence"] == pytest.approx(statistics.confidence.double().mean().item())
    expected = Bins.of(statistics.confidence, statistics.hit)
    np.testing.assert_array_equal(fields["bins"].count, expected.count)
    np.testing.assert_allclose(fields["bins"].confidence, expected.confidence)
    equal_mass = Bins.of(statistics.confidence, statistics.hit, FINE_BINS).equal_mass()
    np.testing.assert_allclose(fields["bins_equal_mass"].edges, equal_mass.edges)
    np.testing.assert_array_equal(fields["bins_equal_mass"].hits, equal_mass.hits)


def test_the_sums_of_each_group_are_returned():
    """Group 2 has no prediction."""
    statistics = _statistics(60)
    group = torch.tensor([0, 1, 3]).repeat_interleave(20)
    bins, nll = Tally().add(statistics, group, 4)
    assert bins.shape == (4, 3, 15) and bins.dtype == nll.dtype == np.float32
    np.testing.assert_array_equal(bins[:, 0].sum(1), [20, 20, 0, 20])
    np.testing.assert_array_equal(bins[:, 2].sum(1), torch.bincount(group, statistics.hit.double(), minlength=4))
    np.testing.assert_allclose(bins[:, 1].sum(1), torch.bincount(group, statistics.confidence, minlength=4), rtol=1e-5)
    np.testing.assert_allclose(nll, torch.bincount(group, statistics.nll, minlength=4), rtol=1e-5)


def test_a_confidence_that_rounding_has_raised_above_1_is_1():
    one = torch.ones(1)
    tally = Tally()
    tally.add(TokenStatistics(0 * one, 1.0000001 * one, 0 * one, one.bool()), torch.zeros(1, dtype=torch.long), 1)
    assert tally.fields()["confidence"] == 1 and tally.fields()["bins"].count[-1] == 1
