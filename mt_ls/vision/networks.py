"""The paper's networks: a body, whose outputs are the penultimate activations, and a linear head.

The paper's "AlexNet" is the network of TensorFlow's CIFAR-10 tutorial, not Krizhevsky's. ResNets of depth 6 n + 2 have
the pre-activation blocks of tensor2tensor; those named "_t2t" are its network at commit bafdc1b6 (2023-04-01), with a
first kernel of 3 instead of 7 as in the paper.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from . import VisionError


class Classifier(nn.Module):
    """A network ``head(body(x))``: the body returns penultimate activations (N, D), the head logits (N, K)."""

    def __init__(self, body: nn.Module, head: nn.Linear) -> None:
        super().__init__()
        self.body = body
        self.head = head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (N, K) of images (N, C, H, W)."""
        return self.head(self.body(x))


def build(name: str, shape: tuple[int, int, int], n_classes: int) -> Classifier:
    """The untrained network of a name, for images of ``shape`` (C, H, W). Names are

    - "mlp_1200" or another width, and "mlp_1200_dropout" with the dropout of Hinton et al. 2015: 0.2 of the inputs and
      half of the hidden units;
    - "alexnet";
    - "resnet_56" or another depth 6 n + 2, "resnet_56_wide" with tensor2tensor's widths, and "resnet_56_t2t" with its
      widths, shortcuts, normalisation and initialiser.

    Raises VisionError for another name.
    """
    mlp, resnet = re.fullmatch(r"mlp_(\d+)(_dropout)?", name), re.fullmatch(r"resnet_(\d+)(_wide|_t2t)?", name)
    if mlp:
        network = _mlp(int(mlp[1]), shape, n_classes, dropout=bool(mlp[2]))
    elif name == "alexnet":
        network = _alexnet(shape[0], n_classes)
    elif resnet and int(resnet[1]) > 2 and int(resnet[1]) % 6 == 2:
        widths = (32, 64, 128) if resnet[2] else (16, 32, 64)
        of_t2t = resnet[2] == "_t2t"
        network = (_t2t_resnet if of_t2t else _resnet)((int(resnet[1]) - 2) // 6, widths, shape[0], n_classes)
    else:
        raise VisionError(
            f"no network {name!r}: choose mlp_WIDTH, mlp_WIDTH_dropout, alexnet, or resnet_DEPTH (6 n + 2), "
            "resnet_DEPTH_wide, resnet_DEPTH_t2t"
        )
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # for faster convolutions
    return network


def _mlp(width: int, shape: tuple[int, int, int], n_classes: int, dropout: bool) -> Classifier:
    """Two hidden layers of ReLU. The weights' deviation is 0.03; A.5 calls that number a variance."""
    n_inputs = shape[0] * shape[1] * shape[2]
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, rate in ((n_inputs, 0.2), (width, 0.5)):
        layers += [*([nn.Dropout(rate)] if dropout else []), nn.Linear(inputs, width), nn.ReLU()]
    if dropout:
        layers.append(nn.Dropout(0.5))
    network = Classifier(nn.Sequential(*layers), nn.Linear(width, n_classes))
    _initialise(network, lambda layer: nn.init.normal_(layer.weight, std=0.03))
    return network


def _initialise(network: nn.Module, draw: Callable[[Any], object]) -> None:
    """Call ``draw`` for the weights of each layer and set its bias to 0."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            draw(layer)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class _SamePool(nn.Module):
    """3 x 3 maxima at stride 2 of an even number of rows and columns, with TensorFlow's "SAME" padding: the last window
    goes one pixel beyond the border, to the right and below."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maxima (N, C, H / 2, W / 2)."""
        return functional.max_pool2d(x, 3, 2, ceil_mode=True)


class _LocalResponseNorm(nn.Module):
    """TensorFlow's normalisation with the tutorial's constants: x / (1 + 0.001 / 9 s)^0.75, where s is the sum of
    squares over a channel and its four neighbours on either side. The sum is a convolution with a band, which is much
    faster than the pooling of torch's own module."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        place = torch.arange(channels)
        near = (place.unsqueeze(1) - place).abs() <= 4
        self.band: torch.Tensor
        self.register_buffer("band", 0.001 / 9 * near.float()[:, :, None, None], persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The normalised x (N, C, H, W)."""
        return x * (1 + functional.conv2d(x.square(), self.band)).pow(-0.75)


def _alexnet(channels: int, n_classes: int) -> Classifier:
    body = nn.Sequential(
        nn.Conv2d(channels, 64, 5, padding=2),
        _SamePool(),  # before the ReLU, which then has a quarter of the numbers: the maxima are the same
        nn.ReLU(),
        _LocalResponseNorm(64),
        nn.Conv2d(64, 64, 5, padding=2),
        nn.ReLU(),
        _LocalResponseNorm(64),
        _SamePool(),
        nn.Flatten(),
        nn.Linear(64 * 6 * 6, 384),
        nn.ReLU(),
        nn.Linear(384, 192),
        nn.ReLU(),
    )
    network = Classifier(body, nn.Linear(192, n_classes))

    def truncated(layer: Any) -> None:
        deviation = 0.05 if isinstance(layer, nn.Conv2d) else 1 / 192 if layer is network.head else 0.04
        nn.init.trunc_normal_(layer.weight, std=deviation, a=-2 * deviation, b=2 * deviation)

    _initialise(network, truncated)
    for place in (4, 9, 11):  # the second convolution and the dense layers
        nn.init.constant_(body[place].get_parameter("bias"), 0.1)
    return network


class _Block(nn.Module):
    """A residual block: two convolutions, each after batch normalisation and ReLU, added to the block's input.

    With ``projects`` the input passes through a convolution of its own, and then through a batch normalisation where
    ``normalised``.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, projects: bool, normalised: bool = False) -> None:
        super().__init__()
        self.first, self.second = nn.BatchNorm2d(inputs), nn.BatchNorm2d(outputs)
        self.convolutions = nn.ModuleList([_convolution(inputs, outputs, stride), _convolution(outputs, outputs, 1)])
        self.shortcut: nn.Module | None = None
        if projects:
            projection = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(outputs)) if normalised else projection

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The residual stream after the block."""
        active = self.first(x).relu()
        added = self.convolutions[1](self.second(self.convolutions[0](active)).relu())
        return added + (x if self.shortcut is None else self.shortcut(active))


def _convolution(inputs: int, outputs: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)


_STEM = 16
"""Channels after a ResNet's first convolution."""


def _resnet(n_blocks: int, widths: tuple[int, ...], channels: int, n_classes: int) -> Classifier:
    """The penultimate activation is the mean of the residual stream; like tensor2tensor's it has no normalisation."""
    layers: list[nn.Module] = [_convolution(channels, _STEM, 1)]
    inputs = _STEM
    for group, width in enumerate(widths):
        for i in range(n_blocks):
            stride = 2 if group and not i else 1
            layers.append(_Block(inputs, width, stride, projects=inputs != width or stride > 1))
            inputs = width
    network = Classifier(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()), nn.Linear(inputs, n_classes))
    _initialise(network, lambda layer: nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu"))
    nn.init.normal_(network.head.weight, std=inputs**-0.5)
    return network


def _t2t_resnet(n_blocks: int, widths: tuple[int, ...], channels: int, n_classes: int) -> Classifier:
    """The ResNet of tensor2tensor.

    Batch normalisation and ReLU follow the first convolution, and the first block of every group projects its input.
    Convolutions are drawn with variance 1 / fan-in, the head with 4 / (inputs + outputs).
    """
    layers: list[nn.Module] = [_convolution(channels, _STEM, 1), nn.BatchNorm2d(_STEM), nn.ReLU()]
    inputs = _STEM
    for group, width in enumerate(widths):
        layers.append(_Block(inputs, width, 2 if group else 1, projects=True, normalised=True))
        layers += [_Block(width, width, 1, projects=False) for _ in range(n_blocks - 1)]
        inputs = width
    network = Classifier(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()), nn.Linear(inputs, n_classes))
    _initialise(network, lambda layer: _draw_truncated(layer.weight, layer.weight[0].numel() ** -0.5))
    _draw_truncated(network.head.weight, 2 * (inputs + n_classes) ** -0.5)
    return network


def _draw_truncated(weight: torch.Tensor, deviation: float) -> None:
    """Draw from a normal distribution cut at two deviations, as TensorFlow's ``variance_scaling`` does: ``deviation``
    is that after the cut."""
    deviation /= 0.87962566103423978  # the deviation of a standard normal distribution that is cut at 2
    nn.init.trunc_normal_(weight, std=deviation, a=-2 * deviation, b=2 * deviation)
