"""The loss and its gradient against torch and fairseq's stock criterion, each under its own convention."""

import pytest
import torch
from fairseq.criterions.label_smoothed_cross_entropy import label_smoothed_nll_loss
from torch.nn import functional

from mt_ls.smoothing import paper_alpha, smoothed_cross_entropy


def _problem(n=37, k=53, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 4 * torch.randn(n, k, generator=generator, dtype=torch.float64)
    return logits.requires_grad_(), torch.randint(k, (n,), generator=generator)


@pytest.mark.parametrize("alpha", [0.0, 0.05, 0.1, 0.9])
def test_paper_convention_is_torch_cross_entropy(alpha):
    logits, target = _problem()
    weights = torch.rand(len(target), dtype=torch.float64)
    theirs = functional.cross_entropy(logits, target, label_smoothing=alpha, reduction="none")
    (their_gradient,) = torch.autograd.grad((theirs * weights).sum(), logits)
    ours = smoothed_cross_entropy(logits, target, alpha)
    (gradient,) = torch.autograd.grad((ours.loss * weights).sum(), logits)
    torch.testing.assert_close(ours.loss, theirs)
    torch.testing.assert_close(ours.nll, functional.cross_entropy(logits, target, reduction="none"))
    torch.testing.assert_close(gradient, their_gradient)


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.5])
def test_fairseq_convention_is_the_stock_criterion(epsilon):
    logits, target = _problem(k=7)  # few classes: the two conventions differ visibly
    theirs, nll = label_smoothed_nll_loss(logits.log_softmax(-1), target, epsilon)
    (their_gradient,) = torch.autograd.grad(theirs, logits)
    ours = smoothed_cross_entropy(logits, target, epsilon, "fairseq")
    (gradient,) = torch.autograd.grad(ours.loss.sum(), logits)
    torch.testing.assert_close(ours.loss.sum(), theirs)
    torch.testing.assert_close(ours.nll.sum(), nll)
    torch.testing.assert_close(gradient, their_gradient)
    if epsilon:
        assert abs(smoothed_cross_entropy(logits, target, epsilon).loss.sum() - theirs) > 1e-3


def test_statistics_are_those_of_softmax():
    logits, target = _problem()
    result = smoothed_cross_entropy(logits, target, 0.1)
    confidence, guess = logits.softmax(-1).max(-1)
    torch.testing.assert_close(result.confidence, confidence)
    assert torch.equal(result.hit, guess == target)


@pytest.mark.parametrize(("convention", "expected"), [("paper", 0.9 + 0.1 / 5), ("fairseq", 0.9)])
def test_optimum_puts_the_smoothed_mass_on_the_reference(convention, expected):
    """The minimum of a cross entropy is p = q: 1 - alpha + alpha/K (Szegedy et al. 2016), or 1 - epsilon."""
    logits = torch.zeros(1, 5, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([logits], max_iter=200, tolerance_grad=1e-12)

    def closure():
        optimiser.zero_grad()
        loss = smoothed_cross_entropy(logits, torch.tensor([2]), 0.1, convention).loss.sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    assert logits.softmax(-1)[0, 2].item() == pytest.approx(expected, abs=1e-5)


def test_no_smoothing_allows_impossible_tokens_and_half_precision():
    logits = torch.tensor([[0.0, -torch.inf, 1.0]])
    assert smoothed_cross_entropy(logits, torch.tensor([0])).loss.isfinite().all()
    half = smoothed_cross_entropy(torch.randn(3, 9).half(), torch.tensor([0, 1, 2]), 0.1)
    assert half.loss.dtype == torch.float32


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="label smoothing must lie in"):
        paper_alpha(1.0, "paper", 5)
    with pytest.raises(ValueError, match="unknown smoothing convention 'torch'"):
        paper_alpha(0.1, "torch", 5)
