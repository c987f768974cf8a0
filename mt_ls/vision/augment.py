"""Transforms of a whole batch of images at once, on its device: the paper's augmentations and their fixed counterparts.

A transform takes pixels (B, C, H, W) as bytes and returns floats (B, C, H', W'). An augmentation draws its random
numbers apart from that, on the CPU, so that a seed gives the same images on every device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional

Transform = Callable[[torch.Tensor], torch.Tensor]


def scaled(pixels: torch.Tensor) -> torch.Tensor:
    """Pixels in [0, 1]."""
    return pixels.float() / 255


def standardised(pixels: torch.Tensor) -> torch.Tensor:
    """Images of mean 0 and deviation 1 each, as by TensorFlow's ``per_image_standardization``."""
    centred = pixels.float()
    centred = centred - centred.mean(dim=(1, 2, 3), keepdim=True)
    deviation = centred.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    return centred / deviation.clamp_min(centred[0].numel() ** -0.5)


def centre(pixels: torch.Tensor, size: int) -> torch.Tensor:
    """The middle ``size`` x ``size`` pixels of each image."""
    top, left = ((length - size) // 2 for length in pixels.shape[-2:])
    return pixels[..., top : top + size, left : left + size]


def centre_24(pixels: torch.Tensor) -> torch.Tensor:
    """The middle 24 x 24 pixels, standardised: the images that TensorFlow's CIFAR-10 tutorial evaluates."""
    return standardised(centre(pixels, 24))


def crop(pixels: torch.Tensor, size: int, top: torch.Tensor, left: torch.Tensor) -> torch.Tensor:
    """The window of ``size`` x ``size`` of each image whose corner is at row ``top`` (B,) and column ``left`` (B,)."""
    n, channels, _, width = pixels.shape
    place = torch.arange(size, device=pixels.device)
    rows, columns = top.long().unsqueeze(1) + place, left.long().unsqueeze(1) + place
    index = (rows.unsqueeze(2) * width + columns.unsqueeze(1)).view(n, 1, -1).expand(-1, channels, -1)
    return pixels.reshape(n, channels, -1).gather(2, index).view(n, channels, size, size)


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Random windows of ``size`` x ``size`` (None: the size of the image) of each image with a black border of
    ``padding`` pixels, then ``finish``.

    With ``flips`` half of them are mirrored left to right. With ``distorts`` their brightness changes by up to 63 of
    255, and their contrast by a factor in [0.2, 1.8].
    """

    finish: Transform
    size: int | None = None
    padding: int = 0
    flips: bool = False
    distorts: bool = False

    def draw(self, n: int, shape: tuple[int, ...], rng: torch.Generator) -> torch.Tensor:
        """Random numbers (n, 5) for ``n`` images of ``shape`` (C, H, W): row and column of the window's corner, and
        three in [0, 1) for the mirror, the brightness and the contrast."""
        numbers = torch.zeros(n, 5)
        for column, side in enumerate(shape[1:]):
            places = side + 2 * self.padding - (self.size or side) + 1
            numbers[:, column] = torch.randint(places, (n,), generator=rng)
        if self.flips:
            numbers[:, 2] = torch.rand(n, generator=rng)
        if self.distorts:
            numbers[:, 3:] = torch.rand(2, n, generator=rng).t()
        return numbers

    def __call__(self, pixels: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        """The images of ``pixels`` (B, C, H, W) that random ``numbers`` (B, 5), on the same device, give."""
        top, left, mirror, brightness, contrast = numbers.unbind(1)
        images = crop(functional.pad(pixels, (self.padding,) * 4), self.size or pixels.size(-1), top, left)
        if self.flips:
            images = torch.where(_each(mirror < 0.5), images.flip(-1), images)
        if self.distorts:
            images = images.float() + 126 * _each(brightness) - 63
            mean = images.mean(dim=(2, 3), keepdim=True)
            images = (images - mean) * (0.2 + 1.6 * _each(contrast)) + mean
        return self.finish(images)


def _each(values: torch.Tensor) -> torch.Tensor:
    """The values (B,) of images, to be combined with (B, C, H, W)."""
    return values[:, None, None, None]


SHIFT = Augmentation(finish=scaled, padding=2)
"""Digits moved by up to two pixels either way, in [0, 1]: the 25 centrings of section A.5."""
CROP_AND_FLIP = Augmentation(finish=standardised, padding=4, flips=True)
"""tensor2tensor's ``cifar_image_augmentation``, standardised."""
DISTORT = Augmentation(finish=standardised, size=24, flips=True, distorts=True)
"""The augmentation of TensorFlow's CIFAR-10 tutorial."""
