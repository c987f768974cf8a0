"""Temperatures against torch's own losses, and on the synthetic grammar, whose probabilities are known."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from data_prep import synthetic
from mt_ls.calibration import temperature as temperature_module
from mt_ls.calibration.bins import Bins
from mt_ls.calibration.temperature import at_temperatures, fit_temperature


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_one_pass_is_a_pass_at_each_temperature(temperature):
    torch.manual_seed(1)
    logits, target = 5 * torch.randn(64, 31), torch.randint(31, (64,))
    statistics = at_temperatures(logits, target, [0.7, temperature])
    p = (logits / temperature).softmax(-1)
    assert torch.equal(statistics.hit, logits.argmax(-1) == target)
    torch.testing.assert_close(
        statistics.nll[1], functional.cross_entropy(logits / temperature, target, reduction="none")
    )
    torch.testing.assert_close(statistics.confidence[1], p.max(-1).values)
    brier = (p - functional.one_hot(target, 31)).square().sum(-1)
    torch.testing.assert_close(statistics.brier[1], brier, atol=2e-6, rtol=1e-4)


def test_chunks_change_nothing(monkeypatch):
    torch.manual_seed(1)
    logits, target = 5 * torch.randn(100, 31), torch.randint(31, (100,))
    whole = at_temperatures(logits, target, [0.7, 1.0])
    monkeypatch.setattr(temperature_module, "_CPU_ELEMENTS", 1)
    for column, expected in zip(at_temperatures(logits, target, [0.7, 1.0]), whole, strict=True):
        assert torch.equal(column, expected)
    single = at_temperatures(logits.double(), target, [1.0])
    assert (
        single.nll.dtype == torch.float64 and at_temperatures(logits.half(), target, [1.0]).nll.dtype == torch.float32
    )


def test_a_target_that_shares_the_greatest_logit_is_a_hit_at_every_temperature():
    statistics = at_temperatures(torch.zeros(5, 5), torch.arange(5), [0.5, 1.0])
    assert statistics.hit.all() and torch.allclose(statistics.confidence, torch.tensor(0.2))


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_a_temperature_must_be_positive(bad):
    with pytest.raises(ValueError, match="greater than 0"):
        at_temperatures(torch.zeros(1, 2), torch.zeros(1, dtype=torch.long), [bad])


def _truth(n=600):
    """True log-probabilities (N, V) of the next German word, and the sampled word (N,)."""
    words = synthetic.vocabulary()
    index = {word: i for i, word in enumerate(words)}
    rows, target = [], []
    for source, translation in synthetic.pairs(n, seed=3):
        prefix = []
        for word in [*translation.split(), synthetic.END]:
            row = np.full(len(words), -30.0)
            for option, p in synthetic.next_word_probabilities(source, prefix).items():
                row[index[option]] = math.log(p)
            rows.append(row)
            target.append(index[word])
            prefix.append(word)
    return torch.tensor(np.array(rows)), torch.tensor(target)


def test_the_true_model_is_calibrated_to_the_noise_floor():
    logits, target = _truth()
    confidence, best = logits.softmax(-1).max(-1)
    bins = Bins.of(confidence.numpy().clip(max=1), (best == target).numpy())
    mean, deviation = bins.noise_floor(np.random.default_rng(0))
    assert abs(bins.ece() - mean) < 4 * deviation


@pytest.mark.parametrize("sharpened", [0.5, 1.0, 1.7])
def test_a_sharpened_model_is_fitted_to_the_temperature_it_was_sharpened_by(sharpened):
    logits, target = _truth()
    halves = [(logits[i::2] * sharpened, target[i::2]) for i in range(2)]
    assert fit_temperature(lambda: halves) == pytest.approx(sharpened, rel=0.06)


def test_the_fit_is_the_minimum_of_the_likelihood():
    torch.manual_seed(2)
    logits, target = 3 * torch.randn(400, 11), torch.randint(11, (400,))
    logits[torch.arange(400), target] += 3
    fitted = fit_temperature(lambda: [(logits, target)])
    grid = fitted * np.linspace(0.9, 1.1, 41)
    nll = at_temperatures(logits.double(), target, list(grid)).nll.mean(dim=-1)
    assert abs(int(nll.argmin()) - 20) <= 1
    with pytest.raises(ValueError, match="no token"):
        fit_temperature(lambda: [])
