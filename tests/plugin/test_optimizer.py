"""Adam, clipping and the copies of half precision in a few kernels, against fairseq's loops."""

import copy
from argparse import Namespace

import pytest
import torch
from fairseq import optim
from fairseq.optim import adam
from fairseq.optim.sgd import SGD
from omegaconf import OmegaConf

from mt_ls.plugin import optimizer
from mt_ls.plugin.optimizer import FP16Optimizer, FusedAdam, hasten_optimizer

ADAM = OmegaConf.create({"lr": [0.01], "adam_betas": "(0.9, 0.98)", "adam_eps": 1e-3, "weight_decay": 0.01})
ADAM.update({"tpu": False, "fp16_adam_stats": False})


def _parameters(dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    shapes = [(30, 20), (20,), (7, 3), ()]
    return [torch.nn.Parameter(torch.randn(shape, generator=generator).to(dtype)) for shape in shapes]


def _give_gradients(parameters, seed, without=()):
    generator = torch.Generator().manual_seed(seed)
    for i, p in enumerate(parameters):
        gradient = torch.randn(p.shape, generator=generator).to(p.dtype) * 1e-2
        p.grad = None if i in without else gradient


def _adams(dtype=torch.float32):
    """Parameters and optimizer twice: fairseq's, and ours."""
    of_stock, of_ours = _parameters(dtype), _parameters(dtype)
    settings = {"lr": 0.01, "betas": (0.9, 0.98), "eps": 1e-3, "weight_decay": 0.01}
    return (of_stock, adam.Adam(of_stock, **settings)), (of_ours, FusedAdam(of_ours, **settings))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("at_once", [1, 2**24])
def test_the_fused_update_is_fairseqs(dtype, at_once, monkeypatch):
    """With a large epsilon, a decay, and parameters that miss some gradients, in one part and in many."""
    monkeypatch.setattr(optimizer, "_CONVERTED_AT_ONCE", at_once)
    pairs = _adams(dtype)
    for update in range(8):
        for parameters, optimizer_ in pairs:
            _give_gradients(parameters, update, without=(1,) if update in (0, 4) else ())
            optimizer_.step()
    (expected, stock), (parameters, ours) = pairs
    for p, q in zip(parameters, expected, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5 if dtype == torch.float32 else 1e-2, atol=1e-6)
        assert ours.state[p]["step"] == stock.state[q]["step"] and type(ours.state[p]["step"]) is int
        for moment in ("exp_avg", "exp_avg_sq"):
            torch.testing.assert_close(ours.state[p][moment], stock.state[q][moment])


def test_each_goes_on_from_the_state_of_the_other():
    pairs = _adams()
    for update in range(3):
        for parameters, optimizer_ in pairs:
            _give_gradients(parameters, update)
            optimizer_.step()
    states = [copy.deepcopy(optimizer_.state_dict()) for _, optimizer_ in pairs]
    for (_, optimizer_), state in zip(pairs, reversed(states), strict=True):
        optimizer_.load_state_dict(state)
    for parameters, optimizer_ in pairs:
        _give_gradients(parameters, 9)
        optimizer_.step()
    torch.testing.assert_close(pairs[0][0], pairs[1][0])


def _wrapped(names, dtype=torch.float32):
    parameters = _parameters(dtype)
    wrapper = adam.FairseqAdam(ADAM, parameters)
    hasten_optimizer(wrapper, names)
    return parameters, wrapper


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("max_norm", [0, 0.1, 100])
def test_clipping_is_fairseqs(dtype, max_norm):
    results = []
    for names in ((), ("clipping",)):
        parameters, wrapper = _wrapped(names, dtype)
        _give_gradients(parameters, 1, without=(2,))
        results.append((wrapper.clip_grad_norm(max_norm), [p.grad for p in parameters if p.grad is not None]))
    torch.testing.assert_close(*results)
    assert 0.1 < results[0][0] < 100


def test_without_a_gradient_the_norm_is_zero():
    _, wrapper = _wrapped(("clipping",))
    assert wrapper.clip_grad_norm(1.0) == 0


def test_only_fairseqs_own_parts_are_exchanged_and_the_names_stay():
    _, wrapper = _wrapped(("adam", "clipping", "copies"))
    assert type(wrapper).__name__ == "FairseqAdam" and type(wrapper.optimizer) is FusedAdam
    _, without = _wrapped(("copies",))
    assert type(without.optimizer) is adam.Adam and "clip_grad_norm" not in vars(without)
    sgd = SGD(OmegaConf.create({"lr": [0.1], "momentum": 0.0, "weight_decay": 0.0}), _parameters())
    hasten_optimizer(sgd, ("adam", "clipping"))
    assert type(sgd.optimizer) is torch.optim.SGD
    assert FP16Optimizer.__name__ == optim.FP16Optimizer.__name__, "a checkpoint names its optimizer"


def _half(flat, bf16, names):
    """fairseq's optimizer of a float32 copy, as it is built on a GPU, for parameters on a CPU."""
    dtype = torch.bfloat16 if bf16 else torch.float16
    parameters = _parameters(dtype)
    if flat:
        copies = torch.nn.Parameter(torch.cat([p.detach().float().flatten() for p in parameters]))
        copies.grad = torch.zeros_like(copies)
        fp32 = {None: copies}
    else:
        fp32 = optim.FP16Optimizer.build_fp32_params(None, parameters, flatten=False)
    common = {"fp16_scale_window": 4, "bf16": bf16, "fp16_init_scale": 8, "fp16_scale_tolerance": 0.0}
    common = Namespace(**common, threshold_loss_scale=None, min_loss_scale=1e-4)
    cfg = Namespace(optimizer=ADAM, common=common)
    inner = adam.FairseqAdam(ADAM, list(fp32.values()) if flat else fp32)
    wrapper = optim.FP16Optimizer(cfg, parameters, inner, fp32)
    hasten_optimizer(wrapper, names)
    return parameters, wrapper


@pytest.mark.parametrize(("flat", "bf16"), [(True, False), (False, True), (False, False)])
@pytest.mark.parametrize("without", [(), (1,)])
def test_copies_of_half_precision_are_fairseqs(flat, bf16, without):
    results = []
    for names in ((), ("copies", "clipping", "adam")):
        parameters, wrapper = _half(flat, bf16, names)
        norms = []
        for update in range(6):
            wrapper.zero_grad()
            _give_gradients(parameters, update, without)
            if wrapper.scaler is not None:
                for p in parameters:
                    p.grad = None if p.grad is None else p.grad * wrapper.scaler.loss_scale
            wrapper._needs_sync = True
            wrapper.multiply_grads(0.5)
            norms.append(float(wrapper.clip_grad_norm(0.05)))
            wrapper.step()
        results.append((norms, [p.float() for p in parameters], getattr(wrapper.scaler, "loss_scale", 1)))
    torch.testing.assert_close(*results, rtol=1e-2 if bf16 else 2e-3, atol=1e-5)
    assert type(wrapper) is FP16Optimizer


def test_an_overflow_is_reported_as_fairseq_does():
    for names in ((), ("copies",)):
        parameters, wrapper = _half(True, False, names)
        wrapper.zero_grad()
        _give_gradients(parameters, 1)
        parameters[0].grad[0, 0] = float("inf")
        wrapper._needs_sync = True
        with pytest.raises(OverflowError, match=r"setting loss scale to: 4\.0"):
            wrapper.clip_grad_norm(0.05)


def test_the_norm_stays_where_the_gradients_are():
    """It is not made again from a number on the host. Its type stands for a device, as there is one here."""
    _, wrapper = _half(True, False, ("copies",))
    wrapper.zero_grad()
    wrapper.fp32_optimizer.clip_grad_norm = lambda *_: torch.tensor(3.0, dtype=torch.float64)
    wrapper._needs_sync = False
    norm = wrapper.clip_grad_norm(0.05)
    assert norm.dtype == torch.float64 and norm == 3 / 8
