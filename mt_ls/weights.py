"""A model's weights: whether a file holds them whole, and what they are known by."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import torch


def weights_hash(state: Mapping[str, torch.Tensor]) -> str:
    """Hex SHA-256 of parameters and buffers, by name. That of a checkpoint's file would change with the times and the
    name that it holds."""
    digest = hashlib.sha256()
    for name, values in state.items():
        digest.update(name.encode())
        digest.update(values.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def broken_entry(path: Path) -> str | None:
    """What is wrong with a file of torch.save, found by the checksums that torch writes and does not read: None for a
    whole one, and for the format before 2020, which has none."""
    try:
        with zipfile.ZipFile(path) as archive:
            entry = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError) as error:
        with open(path, "rb") as file:
            return str(error) if file.read(2) == b"PK" else None
    return None if entry is None else f"{entry} fails its checksum"
