"""The product that makes logits of hidden states, and the precisions that products can have."""

from __future__ import annotations

import torch

from . import cpu

PRODUCTS = ("float32", "bfloat16")


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
