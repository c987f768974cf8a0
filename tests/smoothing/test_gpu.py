"""The loss on a GPU against float64 and the naive formula: by Triton's interpreter on a CPU, by the device where it is.

The interpreter takes programs one after the other, so these problems are small there. The bound of an error is the rule
of QuACK's tests: at most twice that of the naive implementation in the same precision.
"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels import DEVICE
from torch.nn import functional

from mt_ls.smoothing import gpu, hidden
from mt_ls.smoothing.hidden import linear_smoothed_cross_entropy
from mt_ls.smoothing.kinds import Smoothing
from mt_ls.smoothing.logits import smoothed_cross_entropy

if DEVICE == "cuda":
    pytestmark = pytest.mark.gpu
row_kernel = pytest.importorskip("mt_ls.smoothing.row_kernel", reason="Triton is for Linux")

NONE, PAPER, FAIRSEQ = Smoothing(), Smoothing(amount=0.1), Smoothing("uniform", 0.1, "fairseq")
UNIGRAM = Smoothing("unigram", 0.1)
DTYPES = [torch.float32, torch.bfloat16, torch.float16]
STATISTICS = ("loss", "nll", "confidence", "hit", "entropy")


@pytest.fixture(autouse=True)
def kernel(monkeypatch):
    """The kernel serves tensors of this device."""
    monkeypatch.setattr(hidden, "serves", lambda states: states.dtype in DTYPES)


def _prior(smoothing, n_classes):
    """A prior that is not uniform and has a class of probability 0."""
    counts = torch.arange(n_classes, dtype=torch.float32, device=DEVICE)
    return counts / counts.sum() if smoothing.kind == "unigram" else None


def _problem(n, width, n_classes, dtype=torch.float32, seed=0):
    """Hidden states, a weight and targets, with logits of a standard deviation near 2."""
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn(n, width, generator=generator)
    weight = torch.randn(n_classes, width, generator=generator) * 2 / width**0.5
    target = torch.randint(n_classes, (n,), generator=generator).to(DEVICE)
    return states.to(DEVICE, dtype).requires_grad_(), weight.to(DEVICE, dtype).requires_grad_(), target


def _exact(states, weight, target, smoothing, prior):
    """Rows, without the entropy, and gradients of the sum in float64, from the same inputs."""
    inputs = [values.detach().double().requires_grad_() for values in (states, weight)]
    logits = functional.linear(*inputs)
    rows = smoothed_cross_entropy(logits, target, smoothing, None if prior is None else prior.double())
    return rows, torch.autograd.grad(rows.loss.sum(), inputs)


def _naive(states, weight, target, smoothing, prior):
    """The sum and gradients of logits and their log-softmax in float32, as the stock criterion takes them."""
    log_p = functional.linear(states, weight).float().log_softmax(-1)
    alpha = smoothing.alpha(log_p.size(-1))
    spread = log_p.mean(-1) if prior is None else log_p @ prior
    loss = -((1 - alpha) * log_p.gather(1, target.unsqueeze(1))[:, 0] + alpha * spread)
    return loss.detach(), torch.autograd.grad(loss.sum(), (states, weight))


def _error(values, exact):
    return ((values.double() - exact).norm() / exact.norm()).item()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("smoothing", [NONE, PAPER, FAIRSEQ, UNIGRAM], ids=lambda smoothing: smoothing.label)
@pytest.mark.parametrize("n_classes", [3, 257, 1000])
def test_loss_and_gradients_are_as_close_to_float64_as_the_naive_formula(dtype, smoothing, n_classes):
    problem, prior = _problem(40, 24, n_classes, dtype), _prior(smoothing, n_classes)
    total, rows = linear_smoothed_cross_entropy(*problem, smoothing, prior)
    gradients = torch.autograd.grad(total, problem[:2])
    exact_rows, exact_gradients = _exact(*problem, smoothing, prior)
    naive_loss, naive_gradients = _naive(*problem, smoothing, prior)
    assert _error(rows.loss, exact_rows.loss) <= 2 * _error(naive_loss, exact_rows.loss) + 1e-7
    assert _error(total.detach(), exact_rows.loss.sum()) < (1e-6 if dtype == torch.float32 else 2e-3)
    for gradient, naive, exact in zip(gradients, naive_gradients, exact_gradients, strict=True):
        assert gradient.dtype == dtype
        assert _error(gradient, exact) <= 2 * _error(naive, exact) + 1e-7


@pytest.mark.parametrize("smoothing", [NONE, PAPER, UNIGRAM], ids=lambda smoothing: smoothing.label)
def test_statistics_are_those_of_float64(smoothing):
    problem, prior = _problem(50, 24, 700), _prior(smoothing, 700)
    problem[2][:25] = functional.linear(*problem[:2]).argmax(-1)[:25]  # some targets are hits
    _, rows = linear_smoothed_cross_entropy(*problem, smoothing, prior)
    exact, _ = _exact(*problem, smoothing, prior)
    logits = functional.linear(problem[0].double(), problem[1].double())
    exact = exact._replace(entropy=torch.distributions.Categorical(logits=logits).entropy())
    for name in STATISTICS:
        values, expected = getattr(rows, name), getattr(exact, name)
        torch.testing.assert_close(values, expected.to(values.dtype), rtol=1e-5, atol=1e-5, msg=name)
    assert 25 <= rows.hit.sum() < 50


@pytest.mark.parametrize("smoothing", [NONE, PAPER, UNIGRAM], ids=lambda smoothing: smoothing.label)
def test_a_row_in_several_blocks_is_that_in_one(smoothing, monkeypatch):
    """The greatest logit comes late in some rows and early in others, and whole blocks are -inf without smoothing."""
    states, weight, target = _problem(30, 24, 700)
    with torch.no_grad():
        weight[:100] *= torch.linspace(0.1, 9, 100, device=DEVICE).unsqueeze(1)
    problem, prior = (states, weight, target), _prior(smoothing, 700)
    total, rows = linear_smoothed_cross_entropy(*problem, smoothing, prior)
    gradients = torch.autograd.grad(total, problem[:2])
    monkeypatch.setattr(row_kernel, "launch_shape", lambda n_classes: (128, 4))
    blocks_total, blocks = linear_smoothed_cross_entropy(*problem, smoothing, prior)
    for name in STATISTICS:
        torch.testing.assert_close(getattr(blocks, name), getattr(rows, name), rtol=1e-5, atol=1e-5, msg=name)
    torch.testing.assert_close(torch.autograd.grad(blocks_total, problem[:2]), gradients, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("block", [128, 512])
def test_impossible_classes_are_legal_without_smoothing(block, monkeypatch):
    """With blocks of 128 the first block of every row is -inf."""
    monkeypatch.setattr(row_kernel, "launch_shape", lambda n_classes: (block, 4))
    logits = torch.randn(4, 300, device=DEVICE)
    logits[:, :128] = -torch.inf
    target = torch.tensor([128, 130, 299, 200], device=DEVICE)
    expected = smoothed_cross_entropy(logits, target)
    gradient = logits.softmax(-1) - functional.one_hot(target, 300)
    statistics, hit = logits.new_empty(4, 4), torch.empty(4, dtype=torch.bool, device=DEVICE)
    row_kernel.loss_of_rows(logits, target, 0.0, None, -1, 1, statistics, hit)
    torch.testing.assert_close(statistics[:3], torch.stack(expected[:3]), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(logits, gradient, rtol=1e-4, atol=1e-6)
    assert statistics[3].isfinite().all() and torch.equal(hit, expected.hit)


@given(
    n=st.integers(0, 12),
    n_classes=st.integers(2, 200) if DEVICE == "cpu" else st.sampled_from([2, 31, 200]),  # each is compiled
    rows=st.integers(1, 13),
    n_ignored=st.integers(0, 4),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=15 if DEVICE == "cpu" else 60)
def test_order_ignored_rows_and_chunks_do_not_matter(n, n_classes, rows, n_ignored, seed):
    """Shuffled among ignored rows and in chunks of any size, the rows have the same statistics and gradients."""
    states, weight, target = _problem(n, 8, n_classes, seed=seed)
    total, plain = linear_smoothed_cross_entropy(states, weight, target, PAPER)
    gradients = torch.autograd.grad(total, (states, weight))
    order = torch.randperm(n + n_ignored, generator=torch.Generator().manual_seed(seed)).to(DEVICE)
    padding = torch.full((n_ignored, 8), torch.nan, device=DEVICE)  # nothing of them may count
    mixed = torch.cat([states.detach(), padding])[order].requires_grad_()
    targets = torch.cat([target, target.new_full((n_ignored,), -7)])[order]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu, "chunk_rows", lambda n_classes, device: rows)
        mixed_total, among = linear_smoothed_cross_entropy(mixed, weight, targets, PAPER, ignore_index=-7)
        real, own = order < n, order[order < n]
        for name in STATISTICS:
            values = getattr(among, name)
            torch.testing.assert_close(values[real], getattr(plain, name)[own], msg=name)
            assert not values[~real].any()
        torch.testing.assert_close(mixed_total, total)
        if n_ignored:
            mixed = mixed.detach().nan_to_num().requires_grad_()  # 0 * nan of the products is nan
            mixed_total, _ = linear_smoothed_cross_entropy(mixed, weight, targets, PAPER, ignore_index=-7)
    d_mixed, d_weight = torch.autograd.grad(mixed_total, (mixed, weight))
    torch.testing.assert_close(d_mixed[real], gradients[0][own], rtol=1e-4, atol=1e-5)
    assert not d_mixed[~real].any()
    torch.testing.assert_close(d_weight, gradients[1], rtol=1e-4, atol=1e-5)


def test_a_tie_is_a_hit_and_nan_is_none():
    states, weight, target = (values.to(DEVICE) for values in (torch.ones(5, 2), torch.ones(5, 2), torch.arange(5)))
    assert linear_smoothed_cross_entropy(states, weight, target, PAPER)[1].hit.all()
    weight[4] = torch.nan
    assert not linear_smoothed_cross_entropy(states, weight, target, PAPER)[1].hit.any()


def test_a_target_that_is_no_class_makes_the_loss_nan():
    states, weight, target = _problem(4, 8, 10)
    target[1] = 10
    _, rows = linear_smoothed_cross_entropy(states, weight, target, PAPER)
    assert rows.loss.isnan().tolist() == [False, True, False, False] and not rows.hit[1]


def test_a_factor_of_the_loss_scales_gradients_and_half_precision_does_not_lose_small_ones():
    """With 60 000 classes of equal probability, 1.7e-5 each, float16's smallest steps would show: they are 6e-8."""
    states = torch.zeros(2, 1, device=DEVICE, dtype=torch.float16, requires_grad=True)
    weight = torch.ones(60_000, 1, device=DEVICE, dtype=torch.float16, requires_grad=True)
    with torch.no_grad():
        states += 1
    target = torch.zeros(2, dtype=torch.long, device=DEVICE)
    total, _ = linear_smoothed_cross_entropy(states, weight, target)
    (d_weight,) = torch.autograd.grad(1024 * total, (weight,))
    expected = torch.full((60_000,), 1024 * 2 / 60_000, dtype=torch.float64)
    assert _error(d_weight[1:, 0].cpu(), expected[1:]) < 1e-3
    assert d_weight[0, 0].item() == pytest.approx(-2048, rel=1e-3)


def test_gradients_accumulate_and_reach_a_weight_of_another_precision():
    states, weight, target = _problem(30, 16, 100)
    exact = [torch.autograd.grad(_exact_total(states[rows], weight, target[rows]), weight)[0] for rows in HALVES]
    for rows in HALVES:
        half = states[rows].detach().bfloat16()
        linear_smoothed_cross_entropy(half, weight, target[rows], PAPER)[0].backward()
    assert weight.grad.dtype == torch.float32
    assert 0 < _error(weight.grad, sum(exact).double()) < 0.01


HALVES = (slice(0, 15), slice(15, 30))


def _exact_total(states, weight, target):
    return smoothed_cross_entropy(functional.linear(states, weight), target, PAPER).loss.sum()


def test_autocast_has_the_precision_of_the_products_alone():
    """Hidden states in float32, as a layer normalisation leaves them, and chunks whose sums stay in float32."""
    states, weight, target = _problem(30, 16, 100)
    exact, exact_gradients = _exact(states, weight, target, PAPER, None)
    with pytest.MonkeyPatch.context() as patch, torch.autocast(DEVICE, torch.bfloat16):
        patch.setattr(gpu, "chunk_rows", lambda n_classes, device: 7)
        total, rows = linear_smoothed_cross_entropy(states, weight, target, PAPER)
    assert rows.loss.dtype == torch.float32 and 0 < _error(rows.loss, exact.loss) < 0.01
    for gradient, expected in zip(torch.autograd.grad(total, (states, weight)), exact_gradients, strict=True):
        assert gradient.dtype == torch.float32 and 0 < _error(gradient, expected) < 0.01


def test_a_prior_of_any_layout_counts():
    problem = _problem(20, 8, 30)
    prior = torch.rand(30, 2, device=DEVICE)[:, 0]
    prior = (prior / prior.sum()).expand(2, 30).t().contiguous()[:, 0]
    assert not prior.is_contiguous()
    strided, plain = (linear_smoothed_cross_entropy(*problem, UNIGRAM, p)[0] for p in (prior, prior.contiguous()))
    assert torch.equal(strided, plain)


def test_another_number_of_targets_is_refused():
    states, weight, target = _problem(4, 8, 10)
    with pytest.raises(ValueError, match=r"4 hidden states need as many targets, not \(3,\)"):
        linear_smoothed_cross_entropy(states, weight, target[:3], PAPER)


def test_no_logits_are_kept_and_no_gradient_is_needed():
    problem = _problem(30, 8, 90)
    with torch.no_grad():
        assert not linear_smoothed_cross_entropy(*problem, PAPER)[0].requires_grad
    total, _ = linear_smoothed_cross_entropy(*problem, PAPER)
    assert max(saved.numel() for saved in total.grad_fn.saved_tensors) <= problem[1].numel()


def test_the_operators_of_torch_serve_where_triton_is_absent(monkeypatch):
    monkeypatch.setattr(hidden, "serves", lambda states: False)
    monkeypatch.setattr(hidden, "chunk_rows", lambda n_classes, device: 8)
    states, weight, target = _problem(20, 8, 90)
    total, rows = linear_smoothed_cross_entropy(states, weight, target, PAPER, ignore_index=target[3].item())
    real = target != target[3]
    expected, kept = linear_smoothed_cross_entropy(states[real], weight, target[real], PAPER)
    assert torch.equal(total, expected) and torch.equal(rows.nll[real], kept.nll)
    assert rows.entropy is None and not rows.loss[~real].any()


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("n_classes", [8000, 32_001, 256_000])
def test_large_vocabularies_on_the_device(dtype, n_classes):
    """Several chunks at 256 000 classes; 32 001 is no multiple of anything."""
    problem = _problem(1500, 64, n_classes, dtype)
    total, rows = linear_smoothed_cross_entropy(*problem, PAPER)
    gradients = torch.autograd.grad(total, problem[:2])
    exact, exact_gradients = _exact(*problem, PAPER, None)
    _, naive_gradients = _naive(*problem, PAPER, None)
    assert _error(rows.loss, exact.loss) < (1e-6 if dtype == torch.float32 else 2e-3)
    for gradient, naive, expected in zip(gradients, naive_gradients, exact_gradients, strict=True):
        assert _error(gradient, expected) <= 2 * _error(naive, expected) + 1e-7
