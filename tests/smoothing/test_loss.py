"""The loss and its gradient against torch and fairseq's stock criterion, each under its own convention."""

import pytest
import torch
from fairseq.criterions.label_smoothed_cross_entropy import label_smoothed_nll_loss
from torch.nn import functional

from mt_ls.smoothing import loss as smoothing
from mt_ls.smoothing.loss import linear_smoothed_cross_entropy, paper_alpha, smoothed_cross_entropy


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


@pytest.mark.parametrize(("alpha", "convention"), [(0.0, "paper"), (0.1, "paper"), (0.1, "fairseq")])
@pytest.mark.parametrize("n", [1, 64, 200])
def test_projection_and_loss_in_one_pass_are_the_two_one_after_the_other(alpha, convention, n, monkeypatch):
    """Chunked: 64 rows at a time here, so that 200 rows are three chunks and a remainder."""
    monkeypatch.setattr(smoothing, "_CHUNK_ELEMENTS", 1)
    monkeypatch.setattr(smoothing, "_CHUNK_ROWS", 64)
    generator = torch.Generator().manual_seed(n)
    features, weight = (torch.randn(size, 17, generator=generator, dtype=torch.float64) for size in (n, 53))
    target = torch.randint(53, (n,), generator=generator)
    inputs = features.requires_grad_(), weight.requires_grad_()
    theirs = smoothed_cross_entropy(functional.linear(*inputs), target, alpha, convention)
    total, ours = linear_smoothed_cross_entropy(*inputs, target, alpha, convention)
    for name in ("loss", "nll", "confidence", "hit"):
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name).detach(), msg=name)
    torch.testing.assert_close(total, theirs.loss.sum())
    their_gradients = torch.autograd.grad(3 * theirs.loss.sum(), inputs)
    torch.testing.assert_close(torch.autograd.grad(3 * total, inputs), their_gradients)


def test_projection_in_float32_is_as_close_to_float64_as_stock():
    generator = torch.Generator().manual_seed(4)
    features, weight = (torch.randn(size, 64, generator=generator, dtype=torch.float64) for size in (500, 3000))
    weight, target = weight / 3, torch.randint(3000, (500,), generator=generator)

    def stock(features, weight):
        return label_smoothed_nll_loss(functional.linear(features, weight).log_softmax(-1), target, 0.1)[0]

    def ours(features, weight):
        return linear_smoothed_cross_entropy(features, weight, target, 0.1, "fairseq")[0]

    def errors(loss):
        inputs = features.float().requires_grad_(), weight.float().requires_grad_()
        found = [loss(*inputs).detach(), *torch.autograd.grad(loss(*inputs), inputs)]
        return [((a.double() - b).norm() / b.norm()).item() for a, b in zip(found, exact, strict=True)]

    inputs = features.clone().requires_grad_(), weight.clone().requires_grad_()
    exact = [stock(*inputs).detach(), *torch.autograd.grad(stock(*inputs), inputs)]
    for our_error, their_error in zip(errors(ours), errors(stock), strict=True):
        assert our_error <= 2 * their_error + 1e-7


def test_logits_are_those_of_the_plain_product_with_and_without_onednn(monkeypatch):
    features, weight = torch.randn(70, 24), torch.randn(90, 24)
    expected = features.double() @ weight.double().T
    for present in (smoothing._has_onednn(), False):
        monkeypatch.setattr(smoothing, "_has_onednn", lambda present=present: present)
        torch.testing.assert_close(smoothing.project(features, weight).double(), expected, atol=1e-5, rtol=1e-5)


def test_projection_keeps_no_logits_and_needs_no_gradient():
    features, weight, target = torch.randn(30, 8), torch.randn(90, 8, requires_grad=True), torch.arange(30)
    with torch.no_grad():
        total, _ = linear_smoothed_cross_entropy(features, weight, target, 0.1)
    assert not total.requires_grad
    total, _ = linear_smoothed_cross_entropy(features, weight, target, 0.1)
    assert max(saved.numel() for saved in total.grad_fn.saved_tensors) <= weight.numel()


def test_projection_in_half_precision_trains_in_half_precision():
    features, weight = (torch.randn(n, 16).bfloat16().requires_grad_() for n in (20, 50))
    total, rows = linear_smoothed_cross_entropy(features, weight, torch.arange(20), 0.1)
    expected = functional.cross_entropy(
        (features @ weight.T).float(), torch.arange(20), reduction="none", label_smoothing=0.1
    )
    torch.testing.assert_close(rows.loss, expected.detach(), atol=1e-3, rtol=1e-3)
    gradients = torch.autograd.grad(total, (features, weight))
    for ours, theirs in zip(gradients, torch.autograd.grad(expected.sum(), (features, weight)), strict=True):
        assert ours.dtype == torch.bfloat16
        assert (ours - theirs).float().norm() < 0.02 * theirs.float().norm()


needs_bfloat16 = pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="the processor has no bfloat16 products"
)


@needs_bfloat16
def test_bfloat16_products_stay_near_float32_in_loss_and_gradients():
    features, weight = torch.randn(300, 64, requires_grad=True), (torch.randn(900, 64) / 4).requires_grad_()
    found = []
    for products in ("float32", "bfloat16"):
        total, _ = linear_smoothed_cross_entropy(features, weight, torch.arange(300), 0.1, products=products)
        found.append([total, *torch.autograd.grad(total, (features, weight))])
    for exact, rough in zip(*found, strict=True):
        error = ((rough - exact).norm() / exact.norm()).item()
        assert 0 < error < 0.006, "bfloat16 keeps 8 bits: rounding to nearest errs by up to 2^-9, twice"


@needs_bfloat16
def test_rounding_to_bfloat16_makes_no_hits_of_ties():
    """Rows of logits near 300 (bfloat16's steps are 2 there) of which the reference is the second greatest by 0.1."""
    features, weight = torch.ones(40, 1), torch.arange(299, 300, 0.1).unsqueeze(1)
    target = torch.arange(40) % len(weight)
    for products in ("float32", "bfloat16"):
        _, rows = linear_smoothed_cross_entropy(features, weight, target, products=products)
        assert torch.equal(rows.hit, target == len(weight) - 1)


@pytest.mark.skipif(torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="the processor has bfloat16 products")
def test_bfloat16_products_are_refused_where_the_processor_has_none():
    with pytest.raises(ValueError, match="bfloat16 products need a processor"):
        linear_smoothed_cross_entropy(*torch.ones(2, 3, 3), torch.arange(3), products="bfloat16")


def test_an_unknown_precision_of_products_is_refused():
    with pytest.raises(ValueError, match="unknown precision of products 'int8'"):
        linear_smoothed_cross_entropy(*torch.ones(2, 3, 3), torch.arange(3), products="int8")


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
