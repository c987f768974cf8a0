"""For GPUs only: which tensors Triton's kernels serve, and the device on which they start."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
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
