"""Everything random of an epoch, drawn at once on the CPU: a seed gives the same images on every device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch

from .protocols import Protocol


class Part(NamedTuple):
    """Some batches of an epoch: the ``places`` (n, B) of their images, the ``numbers`` (n, B, F) that augment them, and
    the learning rate's ``factors`` (n,)."""

    places: torch.Tensor
    numbers: torch.Tensor
    factors: torch.Tensor


class Epoch(NamedTuple):
    """The ``seed`` of an epoch, the ``order`` (N,) of its images, the ``numbers`` (N, F) that augment them in that
    order, and the learning rate's ``factors`` of its updates."""

    seed: int
    order: torch.Tensor
    numbers: torch.Tensor
    factors: torch.Tensor

    def parts(self, batch: int, n_batches: int) -> Iterator[Part]:
        """The batches of ``batch`` images in parts of at most ``n_batches``; a smaller last batch is a part alone."""
        n_images = min(len(self.order), len(self.factors) * batch)
        n_whole = n_images // batch
        for start in range(0, n_whole, n_batches):
            stop = min(start + n_batches, n_whole)
            images, sizes = slice(start * batch, stop * batch), (stop - start, batch)
            places, numbers = (values[images].unflatten(0, sizes) for values in (self.order, self.numbers))
            yield Part(places, numbers, self.factors[start:stop])
        if n_whole * batch < n_images:
            rest = slice(n_whole * batch, n_images)
            yield Part(self.order[rest].unsqueeze(0), self.numbers[rest].unsqueeze(0), self.factors[n_whole:])


def draw(
    protocol: Protocol, shape: tuple[int, ...], n: int, seed: int, first: int, updates: int, device: torch.device
) -> Epoch:
    """An epoch on ``n`` images of ``shape`` (C, H, W) that begins with the update ``first`` of ``updates``.

    A GPU receives it while it is at work.
    """
    rng = torch.Generator().manual_seed(seed)
    order = torch.randperm(n, generator=rng)
    batches = order.split(protocol.batch)
    numbers = torch.cat([protocol.draw(len(places), shape, rng) for places in batches])
    ends = range(first, min(first + len(batches), updates))
    factors = torch.tensor([protocol.rate_factor(update, updates) for update in ends], dtype=torch.float64)
    return Epoch(seed, *(_sent(values, device) for values in (order, numbers, factors)))


def _sent(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    if device.type == "cuda" and values.numel():
        values = values.pin_memory()
    return values.to(device, non_blocking=True)
