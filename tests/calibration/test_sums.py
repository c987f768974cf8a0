"""Sums on a device are those of `Bins`."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mt_ls.calibration.bins import Bins
from mt_ls.calibration.sums import bin_index, bin_sums, grouped_bin_sums

CONFIDENCES = arrays(np.float64, st.integers(0, 60), elements=st.floats(0, 1))


@given(CONFIDENCES, st.integers(0, 2**32 - 1), st.sampled_from([1, 15, 4096]))
def test_sums_are_those_of_numpy(confidence, seed, n_bins):
    hit = np.random.default_rng(seed).random(len(confidence)) < 0.5
    sums = bin_sums(torch.tensor(confidence), torch.tensor(hit), n_bins)
    bins = Bins.of(confidence, hit, n_bins)
    np.testing.assert_allclose(sums, [bins.count, bins.confidence, bins.hits], atol=1e-12)
    assert sums.dtype == torch.float64


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
