"""For CPUs only: oneDNN's product in float32, and hits where products in bfloat16 tie."""

from __future__ import annotations

import torch

from ..calibration.hits import is_hit
from .chunks import chunk_rows


def float32_product(hidden: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The product (N, K) of ``hidden`` (N, D) and ``weight`` (K, D), float32, without a gradient.

    oneDNN computes it where it can: it is faster than MKL, most of all on a processor that is not Intel's.
    """
    if _has_onednn():
        return torch.ops.mkldnn._linear_pointwise(hidden, weight, None, "none", [], "")
    return torch.mm(hidden, weight.t())


def _has_onednn() -> bool:
    # A private operator of torch, the one that torch.compile emits: a torch without it takes the plain product.
    present = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    return present and torch.get_float32_matmul_precision() == "highest"


def has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 numbers in hardware (AVX-512 BF16 or AMX)."""
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return supported is not None and supported()


class RoundedTies:
    """Rows whose target shares the greatest logit with another class after rounding to bfloat16.

    Rounding makes thousands of ties where float32 has none, and a tie is a hit. So float32 logits decide these rows.
    """

    def __init__(self) -> None:
        self._rows: list[torch.Tensor] = []

    def add(self, start: int, logits: torch.Tensor, target: torch.Tensor, target_logit: torch.Tensor) -> None:
        """Keep the ties of a chunk that begins at row ``start``: ``logits`` (n, K), which are the same afterwards,
        ``target`` (n, 1) and ``target_logit`` (n, 1)."""
        greatest_other = logits.scatter_(-1, target, -torch.inf).amax(dim=-1, keepdim=True)
        logits.scatter_(-1, target, target_logit)
        self._rows.append(start + (target_logit == greatest_other).nonzero()[:, 0])

    def decide(self, hit: torch.Tensor, hidden: torch.Tensor, weight: torch.Tensor, target: torch.Tensor) -> None:
        """Set ``hit`` (N,) of these rows by the float32 logits of ``hidden`` (N, D) and ``weight`` (K, D)."""
        rows = torch.cat(self._rows) if self._rows else torch.empty(0, dtype=torch.long)
        for part in rows.split(chunk_rows(weight.size(0), "cpu")):
            logits = float32_product(hidden[part], weight)
            hit[part] = is_hit(logits.gather(-1, target[part].unsqueeze(-1))[:, 0], logits.amax(dim=-1))
