"""The paper's networks: a body, whose outputs are the penultimate activations, and a linear head.

The paper's "AlexNet" is the network of TensorFlow's CIFAR-10 tutorial, not Krizhevsky's. ResNets of depth 6 n + 2 have
the pre-activation blocks of tensor2tensor. Inception-v4 is `timm`'s, an optional dependency.
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
    - "resnet_56" or another depth 6 n + 2, and "resnet_56_wide" with tensor2tensor's widths;
    - "inception_v4".

    Raises VisionError for another name.
    """
    mlp, resnet = re.fullmatch(r"mlp_(\d+)(_dropout)?", name), re.fullmatch(r"resnet_(\d+)(_wide)?", name)
    if mlp:
        network = _mlp(int(mlp[1]), shape, n_classes, dropout=bool(mlp[2]))
    elif name == "alexnet":
        network = _alexnet(shape[0], n_classes)
    elif resnet and int(resnet[1]) > 2 and int(resnet[1]) % 6 == 2:
        network = _resnet(int(resnet[1]), (32, 64, 128) if resnet[2] else (16, 32, 64), shape[0], n_classes)
    elif name == "inception_v4":
        network = _inception_v4(n_classes)
    else:
        raise VisionError(
            f"no network {name!r}: choose mlp_WIDTH, mlp_WIDTH_dropout, alexnet, resnet_DEPTH (6 n + 2) or inception_v4"
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
    """3 x 3 maxima at stride 2 with TensorFlow's "SAME" padding, which is to the right and below."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maxima (N, C, H / 2, W / 2)."""
        return functional.max_pool2d(functional.pad(x, (0, 1, 0, 1), value=-torch.inf), 3, 2)


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
        nn.ReLU(),
        _SamePool(),
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
    """A residual block: two convolutions, each after batch normalisation and ReLU, added to the block's input."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first, self.second = nn.BatchNorm2d(inputs), nn.BatchNorm2d(outputs)
        self.convolutions = nn.ModuleList([_convolution(inputs, outputs, stride), _convolution(outputs, outputs, 1)])
        same = inputs == outputs and stride == 1
        self.shortcut = None if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The residual stream after the block."""
        active = self.first(x).relu()
        added = self.convolutions[1](self.second(self.convolutions[0](active)).relu())
        return added + (x if self.shortcut is None else self.shortcut(active))


def _convolution(inputs: int, outputs: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)


def _resnet(depth: int, widths: tuple[int, ...], channels: int, n_classes: int) -> Classifier:
    """The penultimate activation is the mean of the residual stream; like tensor2tensor's it has no normalisation."""
    layers: list[nn.Module] = [_convolution(channels, 16, 1)]
    inputs = 16
    for group, width in enumerate(widths):
        for i in range((depth - 2) // 6):
            layers.append(_Block(inputs, width, 2 if group and not i else 1))
            inputs = width
    network = Classifier(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()), nn.Linear(inputs, n_classes))
    _initialise(network, lambda layer: nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu"))
    nn.init.normal_(network.head.weight, std=inputs**-0.5)
    return network


def _inception_v4(n_classes: int) -> Classifier:
    try:
        import timm
    except ImportError:
        raise VisionError("inception_v4 needs timm: pip install 'mt_ls[imagenet]'") from None
    except RuntimeError as error:
        raise VisionError(f"timm needs the torchvision that goes with torch {torch.__version__} ({error})") from None
    body = timm.create_model("inception_v4", num_classes=0)
    return Classifier(body, nn.Linear(body.num_features, n_classes))
