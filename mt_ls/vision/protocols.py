"""How the paper trains each network (appendix A)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

import torch

from . import VisionError, augment
from .augment import Augmentation, Transform


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """The training of a network.

    - ``batch`` images an update, for ``updates`` updates, at learning rate ``rate``; the head's is ``head_rate`` times
      that.
    - The rate falls tenfold at each of ``drops``, in parts of the updates; without drops it falls in a line to 0.
    - ``prepare`` transforms the images for evaluation. Training images pass through ``augment``, or through ``prepare``
      where that is None.
    - ``decay`` is the weight decay of parameters whose names match one of the patterns ``decayed``.
    - The loss is multiplied by ``loss_scale`` (tensor2tensor's ``loss_multiplier``), the norm of the gradient is
      clipped at ``clip``. With ``clips_decay`` that gradient includes the decay's.
    """

    batch: int
    updates: int
    rate: float
    prepare: Transform
    augment: Augmentation | None = None
    momentum: float = 0.0
    dampening: float = 0.0
    nesterov: bool = False
    drops: tuple[float, ...] = ()
    decay: float = 0.0
    decayed: tuple[str, ...] = ()
    loss_scale: float = 1.0
    clip: float | None = None
    clips_decay: bool = False
    head_rate: float = 1.0

    def rate_factor(self, update: int, updates: int) -> float:
        """The factor of the learning rate at ``update``, counted from 0, of ``updates``."""
        if not self.drops:
            return 1 - update / updates
        return float(0.1 ** sum(update >= drop * updates for drop in self.drops))

    def decay_of(self, name: str) -> float:
        """The weight decay of the parameter ``name``."""
        return self.decay if any(fnmatchcase(name, pattern) for pattern in self.decayed) else 0.0

    def draw(self, n: int, shape: tuple[int, ...], rng: torch.Generator) -> torch.Tensor:
        """The random numbers (n, F) of ``n`` training images of ``shape`` (C, H, W), on the CPU."""
        return self.augment.draw(n, shape, rng) if self.augment else torch.empty(n, 0)

    def training_images(self, pixels: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        """The network's inputs in training, of bytes (B, C, H, W) and random ``numbers`` (B, F) on their device."""
        return self.augment(pixels, numbers) if self.augment else self.prepare(pixels)


# A.5's "gradient smoothing", 0.9 of the last gradient and 0.1 of the new one, is momentum with dampening. A.5 states no
# batch size; the length is 100 epochs, which is 50 000 updates for 50 000 digits.
_MLP = Protocol(batch=100, updates=50_000, rate=1.0, prepare=augment.scaled, momentum=0.9, dampening=0.9, head_rate=0.1)
_RESNET = Protocol(
    batch=128,
    updates=64_000,
    rate=0.1,
    prepare=augment.standardised,
    augment=augment.CROP_AND_FLIP,
    momentum=0.9,
    nesterov=True,
    drops=(0.5, 0.75),
    decay=1e-4,
    decayed=("*weight",),
    loss_scale=3.0,
    clip=1.0,
)
PROTOCOLS = {
    "mlp_1200": replace(_MLP, augment=augment.SHIFT),
    "mlp_1200_dropout": replace(_MLP, augment=augment.SHIFT),
    "mlp": _MLP,
    "alexnet": Protocol(
        batch=128,
        updates=390_000,
        rate=0.1,
        prepare=augment.centre_24,
        augment=augment.DISTORT,
        drops=(1 / 3, 2 / 3),
        decay=0.04,
        decayed=("body.9.weight", "body.11.weight"),
        loss_scale=3.0,
    ),
    "resnet": _RESNET,
    # Everything decays but biases, the parameters of batch normalisation included.
    "resnet_t2t": replace(_RESNET, decayed=("body.*", "head.weight"), clips_decay=True),
}
"""Protocols by a network's name, its name without the depth, or the family that its name begins with."""


def protocol_of(network: str) -> Protocol:
    """The protocol of a network by name. Raises VisionError for a family that the paper does not train."""
    names = (network, re.sub(r"_\d+", "", network), network.partition("_")[0])
    protocol = next((PROTOCOLS[name] for name in names if name in PROTOCOLS), None)
    if protocol is None:
        raise VisionError(f"no network {network!r}: choose one of the families {', '.join(PROTOCOLS)}")
    return protocol
