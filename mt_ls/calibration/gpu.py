"""For GPUs only: which tensors Triton's kernels serve, and the kernels of `bin_kernel` and `temperature_kernel`."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch

_DTYPES = (torch.float32, torch.bfloat16, torch.float16)


@functools.cache
def _has_triton(device: torch.device) -> bool:
    """Whether Triton is installed, knows the GPU, and finds a C compiler, with which it builds what starts a kernel."""
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")
    is_known = torch.cuda.get_device_capability(device) >= (7, 0)
    return importlib.util.find_spec("triton") is not None and is_known and compiler is not None


def serves(values: torch.Tensor) -> bool:
    """Whether a kernel computes on these values: on a GPU, with Triton, up to float32."""
    return values.device.type == "cuda" and values.dtype in _DTYPES and _has_triton(values.device)


def on_device(values: torch.Tensor) -> AbstractContextManager[object]:
    """A context in which kernels start on the device of ``values``."""
    if not values.is_cuda or values.device.index == torch.cuda.current_device():
        return nullcontext()
    return torch.cuda.device(values.device)


def statistics_at(
    logits: torch.Tensor, target: torch.Tensor, temperatures: Sequence[float]
) -> tuple[torch.Tensor, torch.Tensor]:
    """NLL, confidence and Brier score (3, T, N), float32, at each of T temperatures, and hits (N,), from one pass."""
    from .temperature_kernel import at_temperatures_of_rows

    columns = logits.new_empty(3, len(temperatures), len(target), dtype=torch.float32)
    hit = torch.empty(len(target), dtype=torch.bool, device=logits.device)
    inverse = torch.tensor([1 / t for t in temperatures], dtype=torch.float32).to(logits.device, non_blocking=True)
    if columns.numel():
        at_temperatures_of_rows(logits.contiguous(), target.contiguous(), inverse, columns, hit)
    return columns, hit


def sums_of_bins(confidence: torch.Tensor, hit: torch.Tensor, n_bins: int, where: torch.Tensor | None) -> torch.Tensor:
    """Sums (3, n_bins) in float64 of count, confidence and hits of the predictions ``where`` is true (None: all)."""
    from .bin_kernel import sums_of_predictions

    return sums_of_predictions(
        confidence.contiguous(), hit.contiguous(), n_bins, None if where is None else where.contiguous()
    )
