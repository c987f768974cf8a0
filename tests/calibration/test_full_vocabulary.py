"""The weighted ECE against its formula written out in numpy, and cases whose value is known."""

import numpy as np
import pytest
import torch

from mt_ls.calibration.bins import Bins
from mt_ls.calibration.full_vocabulary import greatest_logits, mass_sums
from mt_ls.calibration.temperature import TokenStatistics, at_temperatures


def _bins(logits, target, temperature):
    """The bins of all classes, from the statistics of a pass at several temperatures."""
    nll, confidence, brier, hit = at_temperatures(logits, target, [0.4, temperature])
    statistics = TokenStatistics(nll[1], confidence[1], brier[1], hit)
    return Bins.from_sums(mass_sums(statistics, greatest_logits(logits), temperature).cpu())


def _written_out(logits, target, temperature, n_bins=15):
    """(mass, squares, mass of targets, weighted ECE): every probability of every prediction, in float64."""
    z = logits.double().numpy() / temperature
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    is_target = np.arange(p.shape[1]) == target.numpy()[:, None]
    place = np.minimum((p * n_bins).astype(int), n_bins - 1)
    sums = np.zeros((3, n_bins))
    for row, values in enumerate((p, p**2, p * is_target)):
        np.add.at(sums[row], place, values)
    return *sums, np.abs([(p * (is_target - p))[place == b].sum() for b in range(n_bins)]).sum() / len(p)


@pytest.mark.parametrize("n_classes", [3, 15, 16, 127, 136, 1003])
@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_sums_are_those_of_the_formula(n_classes, temperature):
    generator = torch.Generator().manual_seed(n_classes)
    logits = 4 * torch.randn(60, n_classes, generator=generator)
    target = torch.randint(n_classes, (60,), generator=generator)
    target[:30] = logits[:30].argmax(-1)
    mass, squares, of_targets, weighted_ece = _written_out(logits, target, temperature)
    bins = _bins(logits, target, temperature)
    np.testing.assert_allclose(bins.count, mass, atol=1e-4)
    np.testing.assert_allclose(bins.confidence, squares, atol=1e-4)
    np.testing.assert_allclose(bins.hits, of_targets, atol=1e-4)
    assert bins.n == 60 and bins.ece() == pytest.approx(weighted_ece, abs=1e-6)
    assert weighted_ece > 0.01


def test_a_model_that_draws_the_targets_is_calibrated_and_ece_does_not_see_all():
    """Targets drawn from p have a weighted ECE near 0. Where the two lesser classes are exchanged, the greatest
    probability is as calibrated as before, but the whole distribution is not."""
    rng = np.random.default_rng(0)
    p = np.array([0.5, 0.38, 0.12])
    target = torch.tensor(rng.choice(3, size=20_000, p=p))
    logits = torch.tensor(p).log().float().expand(20_000, 3)
    assert _bins(logits, target, 1.0).ece() < 0.01
    exchanged = logits[:, [0, 2, 1]]
    _, confidence, _, hit = at_temperatures(exchanged, target, [1.0])
    assert Bins.of(confidence[0], hit).ece() < 0.01
    assert _bins(exchanged, target, 1.0).ece() == pytest.approx(0.26 * (0.38 + 0.12), abs=0.01)


def test_uniform_probabilities_are_all_in_the_first_bin():
    bins = _bins(torch.zeros(50, 400), torch.arange(50), 1.0)
    np.testing.assert_allclose(bins.count, [50, *[0] * 14], atol=1e-5)
    assert bins.ece() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("n_classes", [7, 130, 1001])
def test_the_greatest_logits_are_those_of_a_sort(n_classes, dtype):
    logits = torch.randn(9, n_classes, generator=torch.Generator().manual_seed(1)).to(dtype)
    logits[0] = 0  # all are equal
    logits[1, 1:] = -torch.inf
    ordered = logits.float().sort(dim=-1, descending=True).values[:, :15]
    greatest = greatest_logits(logits)
    assert greatest.dtype == torch.float32
    assert torch.equal(greatest.t(), ordered)


def test_nothing_and_what_is_no_number():
    assert _bins(torch.zeros(0, 40), torch.zeros(0, dtype=torch.long), 1.0).n == 0
    diverged = mass_sums(
        TokenStatistics(*torch.full((3, 2), torch.nan), torch.zeros(2, dtype=torch.bool)), torch.zeros(15, 2), 1.0
    )
    assert diverged.isnan().any()


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_a_gpu_has_the_same_logits_and_sums(dtype):
    """The statistics are those of the Triton kernel where it serves."""
    generator = torch.Generator().manual_seed(1)
    logits = 4 * torch.randn(300, 8004, generator=generator).to(dtype)
    target = torch.randint(8004, (300,), generator=generator)
    on_gpu = greatest_logits(logits.cuda())
    assert torch.equal(on_gpu.cpu(), greatest_logits(logits))
    bins, expected = _bins(logits.cuda(), target.cuda(), 1.5), _bins(logits, target, 1.5)
    np.testing.assert_allclose(bins.count, expected.count, atol=1e-3)
    np.testing.assert_allclose(bins.confidence, expected.confidence, atol=1e-3)
