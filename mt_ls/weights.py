"""A model's weights: their hash, and whether their file is whole."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import torch


def weights_hash(state: Mapping[str, torch.Tensor]) -> str:
    """Hex SHA-256 of parameters and buffers, by name.

    The hash of a checkpoint's file would not do: it changes with the times and the name in the file.
    """
    digest = hashlib.sha256()
    for name, values in state.items():
        digest.update(name.encode())
        digest.update(values.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def broken_entry(path: Path) -> str | None:
    """The first damage in a file of ``torch.save``, or None for a whole file.

    ``torch.save`` writes checksums that ``torch.load`` does not read; this function does. The format before 2020 has no
    checksums and counts as whole.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entry = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError) as error:
        with open(path, "rb") as file:
            return str(error) if file.read(2) == b"PK" else None
    return None if entry is None else f"{entry} fails its checksum"
