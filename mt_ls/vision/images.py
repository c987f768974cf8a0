"""Sets of images as one tensor, and the paper's augmentations of a whole batch at once, on the device of the images."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional

from . import VisionError

Augmentation = Callable[[torch.Tensor, torch.Generator], torch.Tensor]
"""Bytes (B, C, H, W) to floats; what is drawn at random comes from the generator, which is the CPU's."""


class Images(NamedTuple):
    """``pixels`` (N, C, H, W) of bytes, and ``labels`` (N,)."""

    pixels: torch.Tensor
    labels: torch.Tensor


def manifest(folder: Path) -> dict[str, Any]:
    """What `data_prep` says of a set of images. Raises VisionError for a folder that is none."""
    try:
        found = json.loads((folder / "manifest.json").read_text())
    except (OSError, ValueError):
        found = {}
    if "classes" not in found:
        raise VisionError(f"{folder}: no set of images; make it with python -m data_prep mnist --out {folder}")
    return found


def numbers(classes: Sequence[str], names: Sequence[str]) -> list[int]:
    """The numbers of named classes. Raises VisionError for a name that is none."""
    unknown = [name for name in names if name not in classes]
    if unknown:
        raise VisionError(f"no class {unknown[0]!r}; there are {', '.join(classes)}")
    return [classes.index(name) for name in names]


def load(folder: Path, split: str, device: str | torch.device = "cpu") -> Images:
    """One split. What is larger than memory stays on the disk until it is used."""
    found = manifest(folder)
    try:
        # Read only, but torch has no such tensors; nothing here writes to it.
        pixels = np.load(folder / f"{split}-images.npy", mmap_mode="c")
        labels = np.load(folder / f"{split}-labels.npy")
    except (OSError, ValueError) as error:
        raise VisionError(f"{folder}: split {split} cannot be read ({error}); remove it and prepare it again") from None
    if pixels.shape != (found["counts"][split], *found["shape"]) or len(labels) != len(pixels):
        raise VisionError(f"{folder}: split {split} is not what its manifest says; remove it and prepare it again")
    return Images(torch.from_numpy(pixels).permute(0, 3, 1, 2).to(device), torch.from_numpy(labels).to(device))


def scaled(pixels: torch.Tensor) -> torch.Tensor:
    """Bytes to floats in [0, 1]."""
    return pixels.float() / 255


def standardised(pixels: torch.Tensor) -> torch.Tensor:
    """Each image with mean 0 and deviation 1, as TensorFlow's ``per_image_standardization`` does it."""
    values = pixels.float()
    values = values - values.mean(dim=(1, 2, 3), keepdim=True)
    deviation = values.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    return values / deviation.clamp_min(values[0].numel() ** -0.5)


def centred(pixels: torch.Tensor, size: int) -> torch.Tensor:
    """The middle ``size`` x ``size`` pixels."""
    top, left = ((length - size) // 2 for length in pixels.shape[-2:])
    return pixels[..., top : top + size, left : left + size]


def cropped(pixels: torch.Tensor, size: int, padding: int, rng: torch.Generator) -> torch.Tensor:
    """A window of ``size`` x ``size`` of each image, anywhere within it and ``padding`` black pixels around."""
    pixels = functional.pad(pixels, (padding,) * 4)
    n, channels, height, width = pixels.shape
    top, left = (torch.randint(side - size + 1, (n, 1), generator=rng) for side in (height, width))
    rows, columns = top + torch.arange(size), left + torch.arange(size)
    index = (rows.unsqueeze(2) * width + columns.unsqueeze(1)).view(n, 1, -1).expand(-1, channels, -1)
    return pixels.reshape(n, channels, -1).gather(2, index.to(pixels.device)).view(n, channels, size, size)


def flipped(pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Half of the images, left to right."""
    turned = (torch.rand(len(pixels), generator=rng) < 0.5).to(pixels.device)
    return torch.where(turned[:, None, None, None], pixels.flip(-1), pixels)


def shift(pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """By up to two pixels either way: the 25 centrings of a digit (section A.5)."""
    return scaled(cropped(pixels, pixels.size(-1), 2, rng))


def crop_and_flip(pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """tensor2tensor's ``cifar_image_augmentation``, standardised: a crop of the image with a border of 4, flipped."""
    return standardised(flipped(cropped(pixels, pixels.size(-1), 4, rng), rng))


def distort(pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """The TensorFlow tutorial's for CIFAR-10: a crop of 24, flipped, brightness by up to 63, contrast by 0.2 to 1.8."""
    values = flipped(cropped(pixels, 24, 0, rng), rng).float()
    brightness, contrast = torch.rand(2, len(values), 1, 1, 1, generator=rng).to(values.device)
    values = values + 126 * brightness - 63
    mean = values.mean(dim=(2, 3), keepdim=True)
    return standardised((values - mean) * (0.2 + 1.6 * contrast) + mean)


def centre_24(pixels: torch.Tensor) -> torch.Tensor:
    """What the tutorial evaluates on."""
    return standardised(centred(pixels, 24))


def crop_299(pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """A crop of 299 of a larger image, flipped, in [-1, 1]: what Inception-v4 takes."""
    return 2 * scaled(flipped(cropped(pixels, 299, 0, rng), rng)) - 1


def centre_299(pixels: torch.Tensor) -> torch.Tensor:
    """Its middle."""
    return 2 * scaled(centred(pixels, 299)) - 1
