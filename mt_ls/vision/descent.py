"""Stochastic gradient descent by a protocol, without a wait for the device: the learning rate is read there.

The numbers on a CPU are those of ``torch.optim.SGD``, which cannot read the rate from a GPU in its multi-tensor form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from .protocols import Protocol


@dataclass
class _Group:
    """Parameters of one learning rate and one weight decay, and the momentum of each, empty before the first step."""

    rate: float
    decay: float
    names: list[str] = field(default_factory=list)
    values: list[torch.Tensor] = field(default_factory=list)
    momentum: list[torch.Tensor] = field(default_factory=list)


class Descent:
    """Steps along the gradients of a network's parameters: weight decay, clipping, momentum and learning rate."""

    def __init__(self, network: nn.Module, protocol: Protocol) -> None:
        self._protocol = protocol
        self._parameters = list(network.parameters())
        groups: dict[tuple[float, float], _Group] = {}
        for name, values in network.named_parameters():
            rate = protocol.rate * (protocol.head_rate if name.startswith("head") else 1.0)
            key = rate, protocol.decay_of(name)
            group = groups.setdefault(key, _Group(*key))
            group.names.append(name)
            group.values.append(values)
        self._groups = list(groups.values())

    @property
    def momentum(self) -> dict[str, torch.Tensor]:
        """The momentum of each parameter by its name; empty before the first step, and without momentum."""
        return {name: m for group in self._groups for name, m in zip(group.names, group.momentum, strict=False)}

    def restore(self, momentum: Mapping[str, torch.Tensor]) -> None:
        """Go on with the ``momentum`` of another run."""
        for group in self._groups:
            group.momentum = [momentum[name] for name in group.names if name in momentum]

    @torch.no_grad()
    def step(self, factor: torch.Tensor) -> None:
        """Make one step with the learning rates times ``factor`` (), a tensor on the parameters' device.

        It changes the gradients.
        """
        for values in self._parameters:
            values.grad = _strides_of(values, values.grad)
        if self._protocol.clips_decay:
            self._add_decay()
        if self._protocol.clip:
            nn.utils.clip_grad_norm_(self._parameters, self._protocol.clip)
        if not self._protocol.clips_decay:
            self._add_decay()
        for group in self._groups:
            direction = self._direction(group)
            if factor.is_cuda:
                torch._foreach_add_(group.values, torch._foreach_mul(direction, (factor * -group.rate).float()))
            else:
                torch._foreach_add_(group.values, direction, alpha=-group.rate * factor.item())

    def _add_decay(self) -> None:
        for group in self._groups:
            if group.decay:
                torch._foreach_add_(_gradients(group), group.values, alpha=group.decay)

    def _direction(self, group: _Group) -> list[torch.Tensor]:
        """The momentum of the group after its gradients, or the gradients where the protocol has none."""
        protocol, gradients = self._protocol, _gradients(group)
        if not protocol.momentum:
            return gradients
        if group.momentum:
            torch._foreach_mul_(group.momentum, protocol.momentum)
            torch._foreach_add_(group.momentum, gradients, alpha=1 - protocol.dampening)
        else:
            group.momentum = [gradient.clone() for gradient in gradients]
        if not protocol.nesterov:
            return group.momentum
        torch._foreach_add_(gradients, group.momentum, alpha=protocol.momentum)
        return gradients


def _gradients(group: _Group) -> list[torch.Tensor]:
    return [values.grad for values in group.values if values.grad is not None]


def _strides_of(values: torch.Tensor, gradient: torch.Tensor | None) -> torch.Tensor | None:
    """The gradient with the strides of the ``values``. Autograd lets them differ in dimensions of size 1, as those of a
    1 x 1 kernel, and one such pair makes torch take every tensor of a list by itself."""
    if gradient is None or gradient.stride() == values.stride():
        return gradient
    return gradient.as_strided(values.size(), values.stride())
