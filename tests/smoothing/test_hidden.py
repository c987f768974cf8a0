"""The chunked loss from hidden states against the projection and the loss one after the other."""

import pytest
import torch
from fairseq.criterions.label_smoothed_cross_entropy import label_smoothed_nll_loss
from torch.nn import functional

from mt_ls.smoothing import cpu, hidden
from mt_ls.smoothing.hidden import linear_smoothed_cross_entropy
from mt_ls.smoothing.kinds import Smoothing
from mt_ls.smoothing.logits import smoothed_cross_entropy

PAPER, FAIRSEQ, UNIGRAM = Smoothing(amount=0.1), Smoothing("uniform", 0.1, "fairseq"), Smoothing("unigram", 0.1)


def _prior(smoothing, n_classes):
    """A prior that is not uniform and has a class of probability 0."""
    counts = torch.arange(n_classes, dtype=torch.float64)
    return counts / counts.sum() if smoothing.kind == "unigram" else None


@pytest.mark.parametrize("smoothing", [Smoothing(), PAPER, FAIRSEQ, UNIGRAM], ids=lambda smoothing: smoothing.label)
@pytest.mark.parametrize("n", [1, 64, 200])
def test_projection_and_loss_in_one_pass_are_the_two_one_after_the_other(smoothing, n, monkeypatch):
    """With chunks of 64 rows, 200 rows are three chunks and a remainder."""
    monkeypatch.setattr(hidden, "chunk_rows", lambda n_classes, device: 64)
    generator = torch.Generator().manual_seed(n)
    states, weight = (torch.randn(size, 17, generator=generator, dtype=torch.float64) for size in (n, 53))
    target, prior = torch.randint(53, (n,), generator=generator), _prior(smoothing, 53)
    inputs = states.requires_grad_(), weight.requires_grad_()
    expected = smoothed_cross_entropy(functional.linear(*inputs), target, smoothing, prior)
    total, rows = linear_smoothed_cross_entropy(*inputs, target, smoothing, prior)
    for name in ("loss", "nll", "confidence", "hit"):
        torch.testing.assert_close(getattr(rows, name), getattr(expected, name).detach(), msg=name)
    torch.testing.assert_close(total, expected.loss.sum())
    expected_gradients = torch.autograd.grad(3 * expected.loss.sum(), inputs)
    torch.testing.assert_close(torch.autograd.grad(3 * total, inputs), expected_gradients)


def test_both_paths_call_a_tie_a_hit():
    """All logits are equal, so that the target always shares the greatest one, whatever class an argmax names."""
    states, weight, target = torch.ones(5, 2), torch.ones(5, 2), torch.arange(5)
    _, chunked = linear_smoothed_cross_entropy(states, weight, target, PAPER)
    plain = smoothed_cross_entropy(states @ weight.T, target, PAPER)
    assert chunked.hit.tolist() == plain.hit.tolist() == [True] * 5


@pytest.mark.parametrize("smoothing", [FAIRSEQ, UNIGRAM], ids=lambda smoothing: smoothing.label)
def test_float32_is_as_close_to_float64_as_the_stock_formula(smoothing):
    generator = torch.Generator().manual_seed(4)
    states, weight = (torch.randn(size, 64, generator=generator, dtype=torch.float64) for size in (500, 3000))
    weight, target = weight / 3, torch.randint(3000, (500,), generator=generator)
    prior = _prior(smoothing, 3000)

    def stock(states, weight):
        log_p = functional.linear(states, weight).log_softmax(-1)
        if prior is None:
            return label_smoothed_nll_loss(log_p, target, 0.1)[0]
        return -(0.9 * log_p.gather(1, target.unsqueeze(1)).sum() + 0.1 * (log_p @ prior.to(log_p.dtype)).sum())

    def chunked(states, weight):
        return linear_smoothed_cross_entropy(states, weight, target, smoothing, prior)[0]

    def errors(loss):
        inputs = states.float().requires_grad_(), weight.float().requires_grad_()
        values = [loss(*inputs).detach(), *torch.autograd.grad(loss(*inputs), inputs)]
        return [((a.double() - b).norm() / b.norm()).item() for a, b in zip(values, exact, strict=True)]

    inputs = states.clone().requires_grad_(), weight.clone().requires_grad_()
    exact = [stock(*inputs).detach(), *torch.autograd.grad(stock(*inputs), inputs)]
    for chunked_error, stock_error in zip(errors(chunked), errors(stock), strict=True):
        assert chunked_error <= 2 * stock_error + 1e-7


def test_no_logits_are_kept_and_no_gradient_is_needed():
    states, weight, target = torch.randn(30, 8), torch.randn(90, 8, requires_grad=True), torch.arange(30)
    with torch.no_grad():
        total, _ = linear_smoothed_cross_entropy(states, weight, target, PAPER)
    assert not total.requires_grad
    total, _ = linear_smoothed_cross_entropy(states, weight, target, PAPER)
    assert max(saved.numel() for saved in total.grad_fn.saved_tensors) <= weight.numel()


@pytest.mark.parametrize("smoothing", [PAPER, UNIGRAM], ids=lambda smoothing: smoothing.label)
def test_half_precision_trains_in_half_precision(smoothing):
    torch.manual_seed(0)
    states, weight = (torch.randn(n, 16).bfloat16().requires_grad_() for n in (20, 50))
    target, prior = torch.arange(20), _prior(smoothing, 50)
    total, rows = linear_smoothed_cross_entropy(states, weight, target, smoothing, prior)
    expected = smoothed_cross_entropy((states @ weight.T).float(), target, smoothing, prior).loss
    torch.testing.assert_close(rows.loss, expected.detach(), atol=1e-3, rtol=1e-3)
    gradients = torch.autograd.grad(total, (states, weight))
    for gradient, exact in zip(gradients, torch.autograd.grad(expected.sum(), (states, weight)), strict=True):
        assert gradient.dtype == torch.bfloat16
        assert (gradient - exact).float().norm() < 0.02 * exact.float().norm()


@pytest.fixture
def bfloat16_products(monkeypatch):
    """Any CPU multiplies bfloat16 numbers: the products are only slow where it has no instruction for it."""
    monkeypatch.setattr(cpu, "has_bfloat16", lambda: True)


@pytest.mark.parametrize("smoothing", [PAPER, UNIGRAM], ids=lambda smoothing: smoothing.label)
def test_bfloat16_products_stay_near_float32_in_loss_and_gradients(smoothing, bfloat16_products):
    torch.manual_seed(0)
    states, weight = torch.randn(300, 64, requires_grad=True), (torch.randn(900, 64) / 4).requires_grad_()
    values = []
    for products in ("float32", "bfloat16"):
        inputs = states, weight, torch.arange(300), smoothing, _prior(smoothing, 900), products
        total, _ = linear_smoothed_cross_entropy(*inputs)
        values.append([total, *torch.autograd.grad(total, (states, weight))])
    for exact, rough in zip(*values, strict=True):
        error = ((rough - exact).norm() / exact.norm()).item()
        assert 0 < error < 0.006, "bfloat16 keeps 8 bits: rounding to nearest errs by up to 2^-9, twice"


def test_rounding_to_bfloat16_makes_no_hits_of_ties(bfloat16_products):
    """Logits near 300, where bfloat16's steps are 2 and the classes' differences 0.1."""
    states, weight = torch.ones(40, 1), torch.arange(299, 300, 0.1).unsqueeze(1)
    target = torch.arange(40) % len(weight)
    for products in ("float32", "bfloat16"):
        _, rows = linear_smoothed_cross_entropy(states, weight, target, products=products)
        assert torch.equal(rows.hit, target == len(weight) - 1)


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="unknown precision of products 'int8'"):
        linear_smoothed_cross_entropy(*torch.ones(2, 3, 3), torch.arange(3), products="int8")
    with pytest.raises(ValueError, match="a prior must sum to 1, not 3"):
        linear_smoothed_cross_entropy(*torch.ones(2, 3, 3), torch.arange(3), UNIGRAM, torch.ones(3))
