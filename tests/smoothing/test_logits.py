"""The loss of logits and its gradient against torch and fairseq's stock criterion, each under its own convention."""

import pytest
import torch
from fairseq.criterions.label_smoothed_cross_entropy import label_smoothed_nll_loss
from torch.nn import functional

from mt_ls.smoothing.kinds import Smoothing
from mt_ls.smoothing.logits import smoothed_cross_entropy


def _problem(n=37, k=53, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 4 * torch.randn(n, k, generator=generator, dtype=torch.float64)
    return logits.requires_grad_(), torch.randint(k, (n,), generator=generator)


@pytest.mark.parametrize("alpha", [0.0, 0.05, 0.1, 0.9])
def test_paper_convention_is_torch_cross_entropy(alpha):
    logits, target = _problem()
    weights = torch.rand(len(target), dtype=torch.float64)
    expected = functional.cross_entropy(logits, target, label_smoothing=alpha, reduction="none")
    (expected_gradient,) = torch.autograd.grad((expected * weights).sum(), logits)
    rows = smoothed_cross_entropy(logits, target, Smoothing(amount=alpha))
    (gradient,) = torch.autograd.grad((rows.loss * weights).sum(), logits)
    torch.testing.assert_close(rows.loss, expected)
    torch.testing.assert_close(rows.nll, functional.cross_entropy(logits, target, reduction="none"))
    torch.testing.assert_close(gradient, expected_gradient)


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.5])
def test_fairseq_convention_is_the_stock_criterion(epsilon):
    logits, target = _problem(k=7)  # few classes: the two conventions differ visibly
    expected, nll = label_smoothed_nll_loss(logits.log_softmax(-1), target, epsilon)
    (expected_gradient,) = torch.autograd.grad(expected, logits)
    rows = smoothed_cross_entropy(logits, target, Smoothing("uniform", epsilon, "fairseq"))
    (gradient,) = torch.autograd.grad(rows.loss.sum(), logits)
    torch.testing.assert_close(rows.loss.sum(), expected)
    torch.testing.assert_close(rows.nll.sum(), nll)
    torch.testing.assert_close(gradient, expected_gradient)
    if epsilon:
        assert abs(smoothed_cross_entropy(logits, target, Smoothing(amount=epsilon)).loss.sum() - expected) > 1e-3


def test_a_unigram_prior_is_a_cross_entropy_with_probabilities_as_targets():
    logits, target = _problem()
    prior = torch.rand(53, dtype=torch.float64)
    prior[4] = 0
    prior /= prior.sum()
    q = 0.7 * functional.one_hot(target, 53) + 0.3 * prior
    expected = functional.cross_entropy(logits, q, reduction="none")
    rows = smoothed_cross_entropy(logits, target, Smoothing("unigram", 0.3), prior)
    torch.testing.assert_close(rows.loss, expected)
    gradients = [torch.autograd.grad(loss.sum(), logits)[0] for loss in (rows.loss, expected)]
    torch.testing.assert_close(*gradients)


def test_a_unigram_prior_of_equal_frequencies_is_uniform_smoothing():
    logits, target = _problem()
    unigram = smoothed_cross_entropy(logits, target, Smoothing("unigram", 0.1), torch.ones(53).double() / 53)
    torch.testing.assert_close(unigram.loss, smoothed_cross_entropy(logits, target, Smoothing(amount=0.1)).loss)


def test_a_missing_prior_is_refused():
    with pytest.raises(ValueError, match="unigram smoothing needs a prior over 53 classes"):
        smoothed_cross_entropy(*_problem(), Smoothing("unigram", 0.1))


def test_statistics_are_those_of_softmax():
    logits, target = _problem()
    confidence, prediction = logits.softmax(-1).max(-1)
    target[:10] = prediction[:10]
    rows = smoothed_cross_entropy(logits, target, Smoothing(amount=0.1))
    torch.testing.assert_close(rows.confidence, confidence)
    assert torch.equal(rows.hit, prediction == target) and 10 <= rows.hit.sum() < len(target)


def test_no_smoothing_allows_impossible_tokens_and_half_precision():
    logits = torch.tensor([[0.0, -torch.inf, 1.0]])
    assert smoothed_cross_entropy(logits, torch.tensor([0])).loss.isfinite().all()
    half = smoothed_cross_entropy(torch.randn(3, 9).half(), torch.tensor([0, 1, 2]), Smoothing(amount=0.1))
    assert half.loss.dtype == torch.float32
