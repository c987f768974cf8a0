"""Dropout that draws the stock masks: the numbers, the order in memory, and the generator's state afterwards."""

import pytest
import torch
from fairseq.modules import FairseqDropout

from mt_ls.plugin import dropout


@pytest.mark.parametrize("p", [0.1, 0.3, 0.75])
@pytest.mark.parametrize("shape", [(7, 5, 16), (1,), (0, 4)])
@pytest.mark.parametrize("transposed", [False, True])
def test_masks_gradients_and_generator_are_those_of_the_stock_module(p, shape, transposed):
    if not dropout.uniform_is_bernoulli():
        pytest.skip("this CPU's Bernoulli numbers are a stream of their own: the stock module is used")
    x = torch.randn(shape)
    results = []
    for module in (FairseqDropout(p), dropout.Dropout(p)):
        inputs = (x.transpose(0, -1) if transposed else x).detach().requires_grad_()
        torch.manual_seed(3)
        out = module(inputs)
        results.append((out, torch.autograd.grad(out.square().sum(), inputs)[0], torch.get_rng_state()))
    assert all(torch.equal(stock, fast) for stock, fast in zip(*results, strict=True))


def test_where_the_streams_differ_the_stock_module_draws(monkeypatch):
    monkeypatch.setattr(dropout, "uniform_is_bernoulli", lambda: False)
    monkeypatch.setattr(dropout, "mask", lambda *_: pytest.fail("the fast mask was drawn"))
    torch.manual_seed(3)
    dropped = dropout.Dropout(0.5)(torch.ones(50))
    torch.manual_seed(3)
    assert torch.equal(dropped, FairseqDropout(0.5)(torch.ones(50)))


def test_only_training_drops():
    x = torch.ones(20)
    assert dropout.Dropout(0.5).eval()(x) is x and dropout.Dropout(0.0)(x) is x


def test_a_models_modules_are_exchanged_but_not_those_of_another_class():
    class Another(FairseqDropout):
        pass

    model = torch.nn.Sequential(FairseqDropout(0.1), Another(0.1))
    dropout.hasten_dropout(model)
    assert [type(module) for module in model] == [dropout.Dropout, Another]
