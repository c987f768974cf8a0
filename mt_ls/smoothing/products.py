"""The product that makes logits of hidden states: its precision, and how many rows at a time."""

from __future__ import annotations

import torch

from . import cpu

PRODUCTS = ("float32", "bfloat16")
# On a CPU 16 MB of float32 logits, so that one product's result is in cache for the next, but no fewer than 256 rows,
# with which the products are slow.
_CPU_ELEMENTS = 2**22
_CPU_ROWS = 256
# On a GPU a chunk costs a dozen launches, so all rows go at once as long as their float32 logits take 1 GiB at most.
_GPU_ELEMENTS = 2**28


def project(hidden: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Logits (N, K) of ``hidden`` (N, D) and ``weight`` (K, D), without a gradient."""
    if hidden.device.type == "cpu" and hidden.dtype == torch.float32:
        return cpu.float32_product(hidden, weight)
    return torch.mm(hidden, weight.t())


def check_products(products: str) -> str:
    """The name itself. Raises ValueError for another than `PRODUCTS`, and for bfloat16 on a CPU without bfloat16
    products, where it is slower than float32."""
    if products not in PRODUCTS:
        raise ValueError(f"unknown precision of products {products!r}: choose one of {', '.join(PRODUCTS)}")
    if products == "bfloat16" and not cpu.has_bfloat16():
        raise ValueError("bfloat16 products need a CPU with AVX-512 BF16 or AMX, and this one has neither: use float32")
    return products


def chunk_rows(n_classes: int, device: torch.device | str) -> int:
    """Number of rows of logits of ``n_classes`` classes to hold at a time on ``device``.

    They fit a CPU's cache, or 1 GiB of a GPU's memory in float32.
    """
    if torch.device(device).type == "cpu":
        return max(_CPU_ROWS, _CPU_ELEMENTS // n_classes)
    return max(1, _GPU_ELEMENTS // n_classes)
