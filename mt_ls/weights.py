"""The identity of a model: what it has learnt, not the file that holds it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch


def weights_hash(state: Mapping[str, torch.Tensor]) -> str:
    """Hex SHA-256 of parameters and buffers, by name. That of a checkpoint's file would change with the times and the
    name that it holds."""
    digest = hashlib.sha256()
    for name, values in state.items():
        digest.update(name.encode())
        digest.update(values.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
