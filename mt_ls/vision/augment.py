"""Transforms of a whole batch of images at once, on its device: the paper's augmentations and their fixed counterparts.

An augmentation takes pixels (B, C, H, W) as bytes and a generator of the CPU, whatever the pixels' device, so that a
seed gives the same images everywhere. A transform takes pixels alone. Both return floats (B, C, H', W').
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

Augmentation = Callable[[torch.Tensor, torch.Generator], torch.Tensor]
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


def random_crop(pixels: torch.Tensor, size: int, padding: int, rng: torch.Generator) -> torch.Tensor:
    """A random window of ``size`` x ``size`` of each image with a black border of ``padding`` pixels."""
    pixels = functional.pad(pixels, (padding,) * 4)
    n, channels, height, width = pixels.shape
    top, left = (torch.randint(side - size + 1, (n, 1), generator=rng) for side in (height, width))
    rows, columns = top + torch.arange(size), left + torch.arange(size)
    index = (rows.unsqueeze(2) * width + columns.unsqueeze(1)).view(n, 1, -1).expand(-1, channels, -1)
    return pixels.reshape(n, channels, -1).gather(2, index.to(pixels.device)).view(n, channels, size, size)


def random_flip(pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """The images, each mirrored left to right with probability 1/2."""
    mirrored = (torch.rand(len(pixels), generator=rng) < 0.5).to(pixels.device)
    return torch.where(mirrored[:, None, None, None], pixels.flip(-1), pixels)


def shift(pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Digits moved by up to two pixels either way, in [0, 1]: the 25 centrings of section A.5."""
    return scaled(random_crop(pixels, pixels.size(-1), 2, rng))


def crop_and_flip(pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Random crops with a border of 4, flipped and standardised: tensor2tensor's ``cifar_image_augmentation``."""
    return standardised(random_flip(random_crop(pixels, pixels.size(-1), 4, rng), rng))


def distort(pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Crops of 24 x 24, flipped, with brightness changed by up to 63 of 255 and contrast by a factor in [0.2, 1.8],
    standardised: the augmentation of TensorFlow's CIFAR-10 tutorial."""
    images = random_flip(random_crop(pixels, 24, 0, rng), rng).float()
    brightness, contrast = torch.rand(2, len(images), 1, 1, 1, generator=rng).to(images.device)
    images = images + 126 * brightness - 63
    mean = images.mean(dim=(2, 3), keepdim=True)
    return standardised((images - mean) * (0.2 + 1.6 * contrast) + mean)


def centre_24(pixels: torch.Tensor) -> torch.Tensor:
    """The middle 24 x 24 pixels, standardised: the tutorial's images for evaluation."""
    return standardised(centre(pixels, 24))


def crop_299(pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Crops of 299 x 299, flipped, in [-1, 1]: Inception-v4's training images."""
    return 2 * scaled(random_flip(random_crop(pixels, 299, 0, rng), rng)) - 1


def centre_299(pixels: torch.Tensor) -> torch.Tensor:
    """The middle 299 x 299 pixels, in [-1, 1]: Inception-v4's images for evaluation."""
    return 2 * scaled(centre(pixels, 299)) - 1
