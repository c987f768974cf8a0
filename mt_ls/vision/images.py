"""Sets of images that `data_prep` wrote, as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import torch

from . import VisionError


class Images(NamedTuple):
    """``pixels`` (N, C, H, W) as bytes and ``labels`` (N,) as numbers of classes."""

    pixels: torch.Tensor
    labels: torch.Tensor


class Classes(NamedTuple):
    """Some classes of a set: their ``names`` and, in the same order, their ``numbers``."""

    names: tuple[str, ...]
    numbers: tuple[int, ...]


_ALTERING = ("JPEG", "WebP")
"""Encodings that lose something of the original pixels; "WebP, lossless" is another one."""


class Manifest(msgspec.Struct, frozen=True):
    """The fields of a set's manifest.json that are read here. ``shape`` is (H, W, C), ``hash`` is that of the images,
    ``encoding`` that of the source's files."""

    corpus: str
    classes: list[str]
    counts: dict[str, int]
    shape: tuple[int, int, int]
    hash: str
    encoding: str

    @property
    def name(self) -> str:
        """The corpus of a record; it names an encoding that alters the original pixels."""
        return f"{self.corpus} ({self.encoding})" if self.encoding in _ALTERING else self.corpus

    def chosen(self, names: Sequence[str]) -> Classes:
        """The classes with these names. Raises VisionError for a name that no class has."""
        for name in names:
            if name not in self.classes:
                raise VisionError(f"no class {name!r}; there are {', '.join(self.classes)}")
        return Classes(tuple(names), tuple(map(self.classes.index, names)))


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a set of images. Raises VisionError for a folder without one."""
    try:
        return msgspec.json.decode((folder / "manifest.json").read_bytes(), type=Manifest)
    except (OSError, ValueError):
        raise VisionError(
            f"{folder}: no set of images; make it with python -m data_prep mnist --out {folder}"
        ) from None


def load(folder: Path, split: str, device: str | torch.device = "cpu") -> Images:
    """One split of a set of images. On a CPU the pixels stay on the disk until they are used.

    Raises VisionError for files that are missing or differ from the manifest.
    """
    manifest = read_manifest(folder)
    try:
        # "c" gives a writable array, as torch asks for; nothing here writes to it.
        pixels = np.load(folder / f"{split}-images.npy", mmap_mode="c")
        labels = np.load(folder / f"{split}-labels.npy")
    except (OSError, ValueError) as error:
        raise VisionError(f"{folder}: split {split} cannot be read ({error}); remove it and prepare it again") from None
    if pixels.shape != (manifest.counts.get(split), *manifest.shape) or len(labels) != len(pixels):
        raise VisionError(f"{folder}: split {split} differs from its manifest; remove it and prepare it again")
    return Images(torch.from_numpy(pixels).permute(0, 3, 1, 2).to(device), torch.from_numpy(labels).to(device))
