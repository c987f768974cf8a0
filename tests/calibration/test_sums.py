"""Sums on a device, the one rule of hits, tallies, and generated tokens by class."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mt_ls.calibration.bins import FINE_BINS, Bins
from mt_ls.calibration.generated import GeneratedTokens
from mt_ls.calibration.hits import is_hit
from mt_ls.calibration.smooth_ece import smooth_ece
from mt_ls.calibration.sums import bin_index, bin_sums, grouped_bin_sums
from mt_ls.calibration.tally import Tally
from mt_ls.calibration.temperature import TokenStatistics, at_temperatures
from mt_ls.smoothing.kinds import Smoothing
from mt_ls.smoothing.logits import smoothed_cross_entropy

CONFIDENCES = arrays(np.float64, st.integers(0, 60), elements=st.floats(0, 1))


@given(CONFIDENCES, st.integers(0, 2**32 - 1), st.sampled_from([1, 15, 4096]))
def test_sums_are_those_of_numpy(confidence, seed, n_bins):
    hit = np.random.default_rng(seed).random(len(confidence)) < 0.5
    sums = bin_sums(torch.tensor(confidence), torch.tensor(hit), n_bins)
    bins = Bins.of(confidence, hit, n_bins)
    np.testing.assert_allclose(sums, [bins.count, bins.confidence, bins.hits], atol=1e-12)
    assert sums.dtype == torch.float64


@given(CONFIDENCES, st.integers(0, 2**32 - 1), st.sampled_from([15, 4096]))
def test_only_the_chosen_predictions_count(confidence, seed, n_bins):
    rng = np.random.default_rng(seed)
    hit, where = torch.tensor(rng.random((2, len(confidence))) < 0.5)
    confidence = torch.tensor(confidence)
    expected = bin_sums(confidence[where], hit[where], n_bins)
    torch.testing.assert_close(bin_sums(confidence, hit, n_bins, where), expected)


@pytest.mark.gpu
@pytest.mark.parametrize("n_bins", [15, 4096])
def test_a_gpu_sums_as_a_cpu_does(n_bins):
    generator = torch.Generator().manual_seed(1)
    confidence, hit, where = torch.rand(3, 5000, generator=generator)
    hit, where = hit < confidence, where < 0.8
    on_gpu = bin_sums(confidence.cuda(), hit.cuda(), n_bins, where.cuda())
    torch.testing.assert_close(on_gpu.cpu(), bin_sums(confidence, hit, n_bins, where))


def test_the_limits_of_bins():
    confidence = torch.tensor([0.0, 1 / 15 - 1e-9, 1 / 15, 14 / 15, 1.0], dtype=torch.float64)
    assert bin_index(confidence).tolist() == [0, 0, 1, 14, 14]


def test_groups_are_summed_apart():
    """Against the sums of each group by itself; the last group is empty."""
    generator = torch.Generator().manual_seed(1)
    confidence, group = torch.rand(300, generator=generator), torch.randint(6, (300,), generator=generator)
    hit = torch.rand(300, generator=generator) < confidence
    sums = grouped_bin_sums(confidence, hit, group, 7)
    assert sums.shape == (7, 3, 15)
    for i in range(7):
        torch.testing.assert_close(sums[i], bin_sums(confidence[group == i], hit[group == i]))
    torch.testing.assert_close(sums.sum(0), bin_sums(confidence, hit))
    assert sums[6].sum() == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_confidences_of_any_precision_are_summed_in_double_precision(dtype):
    confidence = torch.full((5000,), 0.75, dtype=dtype)
    sums = bin_sums(confidence, torch.ones(5000, dtype=torch.bool))
    assert sums[:, 11].tolist() == [5000, 3750, 5000]


@pytest.mark.parametrize(
    ("target", "greatest", "hit"),
    [
        (1.0, 1.0, True),
        (0.5, 1.0, False),
        (-torch.inf, 1.0, False),
        (torch.inf, torch.inf, True),
        (torch.nan, 1.0, False),
    ],
)
def test_the_target_has_the_greatest_logit(target, greatest, hit):
    assert is_hit(torch.tensor([target]), torch.tensor([greatest])).tolist() == [hit]


def test_shapes_are_kept():
    logits = torch.randn(7, 3)
    target = torch.tensor([0, 1, 2, 0, 1, 2, 0]).unsqueeze(-1)
    column = is_hit(logits.gather(-1, target), logits.amax(-1, keepdim=True))
    assert column.shape == (7, 1)
    assert torch.equal(column[:, 0], logits.argmax(-1) == target[:, 0])


def test_measuring_and_training_follow_the_rule_on_ties():
    """All logits are equal, so every target is a hit, whichever class an argmax names."""
    logits, target = torch.zeros(5, 5), torch.arange(5)
    assert at_temperatures(logits, target, [1.0]).hit.all()
    assert smoothed_cross_entropy(logits, target, Smoothing("uniform", 0.1)).hit.all()


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
    fine = Bins.of(statistics.confidence, statistics.hit, FINE_BINS)
    assert fields["smooth_ece"] == pytest.approx(smooth_ece(fine), rel=1e-6)
    equal_mass = fine.equal_mass()
    np.testing.assert_allclose(fields["bins_equal_mass"].edges, equal_mass.edges)
    np.testing.assert_array_equal(fields["bins_equal_mass"].hits, equal_mass.hits)


def test_classes_and_masses_add_up_where_they_are_given():
    statistics = _statistics(400)
    is_eos = torch.arange(400) % 7 == 0
    tally = Tally()
    for rows in (slice(0, 150), slice(150, 400)):
        part = TokenStatistics(*(column[rows] for column in statistics))
        tally.add(part, torch.arange(len(part.hit)), len(part.hit), is_eos[rows], torch.full((3, 15), 2.0))
    fields = tally.fields()
    for name, where in (("others", ~is_eos), ("eos", is_eos)):
        expected = Bins.of(statistics.confidence[where], statistics.hit[where])
        np.testing.assert_array_equal(fields["bins_by_class"][name].count, expected.count)
        np.testing.assert_array_equal(fields["bins_by_class"][name].hits, expected.hits)
        np.testing.assert_allclose(fields["bins_by_class"][name].confidence, expected.confidence)
    np.testing.assert_array_equal(fields["bins_full"].hits, np.full(15, 4.0))
    of_images = Tally()
    of_images.add(statistics, torch.arange(400), 400)
    assert of_images.fields()["bins_by_class"] is of_images.fields()["bins_full"] is None


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


TOKENS = GeneratedTokens(
    probability=torch.tensor([0.95, 0.55, 0.05, 1.0000001, 0.35, 0.99]),
    hit=torch.tensor([True, False, True, True, True, False]),
    kept=torch.tensor([True, True, False, True, True, True]),
    eos=torch.tensor([False, False, False, True, False, True]),
    sentence=torch.tensor([0, 0, 0, 0, 2, 2]),
)


def test_every_token_is_in_one_class_or_left_out():
    sums = TOKENS.sums(3)
    assert list(sums) == ["others", "eos"] and all(part.shape == (3, 3, 15) for part in sums.values())
    others, eos = sums["others"], sums["eos"]
    assert others[:, 0].sum(1).tolist() == [2, 0, 1] and eos[:, 0].sum(1).tolist() == [1, 0, 1]
    assert others[:, 2].sum(1).tolist() == [1, 0, 1] and eos[:, 2].sum(1).tolist() == [1, 0, 0]
    torch.testing.assert_close(others[0, 1].sum(), torch.tensor(1.5, dtype=torch.float64))
    assert eos[0, 1, 14] == 1  # rounding has raised it above 1
    assert TOKENS.n_left_out == 1
    assert others[:, 0].sum() + eos[:, 0].sum() + TOKENS.n_left_out == len(TOKENS.hit)
