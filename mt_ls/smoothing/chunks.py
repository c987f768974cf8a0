"""The number of rows of logits that are held at a time."""

from __future__ import annotations

import torch

# On a CPU 16 MB of float32 logits, so that one product's result is in cache for the next, but no fewer than 256 rows,
# with which the products are slow.
_CPU_ELEMENTS = 2**22
_CPU_ROWS = 256
# On a GPU a chunk costs a dozen launches, so all rows go at once as long as their float32 logits take 1 GiB at most.
_GPU_ELEMENTS = 2**28


def chunk_rows(n_classes: int, device: torch.device | str) -> int:
    """Number of rows of logits of ``n_classes`` classes to hold at a time on ``device``.

    They fit a CPU's cache, or 1 GiB of a GPU's memory in float32.
    """
    if torch.device(device).type == "cpu":
        return max(_CPU_ROWS, _CPU_ELEMENTS // n_classes)
    return max(1, _GPU_ELEMENTS // n_classes)
