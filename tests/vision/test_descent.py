"""Steps of gradient descent beside those of torch's optimiser."""

import dataclasses

import pytest
import torch

from mt_ls.vision.descent import Descent
from mt_ls.vision.networks import build
from mt_ls.vision.protocols import PROTOCOLS

SHAPE = (3, 8, 8)


def _networks(name):
    torch.manual_seed(1)
    networks = [build(name, SHAPE, 4) for _ in range(2)]
    networks[1].load_state_dict(networks[0].state_dict())
    return networks


def _draw_gradients(network, other):
    for values, copied in zip(network.parameters(), other.parameters(), strict=True):
        values.grad = 0.01 * torch.randn_like(values)
        copied.grad = values.grad.clone()


def _torchs(network, protocol):
    """Torch's optimiser with a group for each parameter, and the full rates of the groups."""
    rates = [
        protocol.rate * (protocol.head_rate if n.startswith("head") else 1.0) for n, _ in network.named_parameters()
    ]
    groups = [
        {"params": [values], "lr": rate, "weight_decay": protocol.decay_of(name)}
        for rate, (name, values) in zip(rates, network.named_parameters(), strict=True)
    ]
    options = {"momentum": protocol.momentum, "dampening": protocol.dampening, "nesterov": protocol.nesterov}
    return torch.optim.SGD(groups, **options), rates


@pytest.mark.parametrize(
    ("name", "protocol"),
    [("mlp_16", "mlp"), ("resnet_8", "resnet"), ("resnet_8", "alexnet"), ("resnet_8_t2t", "resnet")],
)
def test_four_steps_have_the_numbers_of_torchs_optimiser_to_the_last_bit(name, protocol):
    """With momentum and dampening, with Nesterov's, with none; clipped and with decay, at falling rates."""
    protocol = dataclasses.replace(PROTOCOLS[protocol], clip=0.5, decay=1e-2, decayed=("*weight",))
    network, other = _networks(name)
    descent, (torchs, rates) = Descent(network, protocol), _torchs(other, protocol)
    for factor in (1.0, 0.7, 0.3, 0.1):
        _draw_gradients(network, other)
        descent.step(torch.tensor(factor, dtype=torch.float64))
        torch.nn.utils.clip_grad_norm_(other.parameters(), protocol.clip)
        for group, rate in zip(torchs.param_groups, rates, strict=True):
            group["lr"] = rate * factor
        torchs.step()
    for values, expected in zip(network.parameters(), other.parameters(), strict=True):
        assert torch.equal(values, expected)


@pytest.mark.parametrize("protocol", ["mlp", "resnet", "alexnet"])
def test_the_momentum_of_another_run_is_taken_over(protocol):
    network, other = _networks("resnet_8")
    first, second = (Descent(n, PROTOCOLS[protocol]) for n in (network, other))
    one = torch.tensor(1.0, dtype=torch.float64)
    _draw_gradients(network, other)
    first.step(one)
    other.load_state_dict(network.state_dict())
    second.restore({name: values.clone() for name, values in first.momentum.items()})
    assert set(first.momentum) == (set() if protocol == "alexnet" else {n for n, _ in network.named_parameters()})
    _draw_gradients(network, other)
    for descent in (first, second):
        descent.step(one)
    for values, expected in zip(network.parameters(), other.parameters(), strict=True):
        assert torch.equal(values, expected)


def test_a_gradient_may_have_other_strides_in_dimensions_of_size_1():
    """As a library may give that of a 1 x 1 kernel."""
    network, other = _networks("resnet_8")
    descents = [Descent(n, PROTOCOLS["resnet"]) for n in (network, other)]
    _draw_gradients(network, other)
    kernel = other.body[2].shortcut.weight
    n_outputs, n_inputs = kernel.shape[:2]
    kernel.grad = kernel.grad.as_strided(kernel.shape, (n_inputs, 1, 7, 5))
    assert kernel.grad.stride() != kernel.stride() and n_outputs > 1
    for descent in descents:
        descent.step(torch.tensor(1.0, dtype=torch.float64))
    assert torch.equal(network.body[2].shortcut.weight, kernel)
    assert descents[1].momentum["body.2.shortcut.weight"].stride() == kernel.stride()
