"""The device of a measurement, and the processes that score beside it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import Executor

import torch

from .references import scoring_processes
from .workers import local_rank


@contextlib.contextmanager
def device_and_pool(cpu: bool, searches: bool) -> Iterator[tuple[torch.device, Executor | None]]:
    """The device of this worker, and processes that score translations (None where this process does).

    It is a GPU where torch sees one, unless ``cpu``. A CPU that ``searches`` has no core to spare for other processes.
    """
    cuda = torch.cuda.is_available() and not cpu
    with scoring_processes() if cuda and searches else contextlib.nullcontext() as pool:
        device = torch.device(f"cuda:{local_rank()}" if cuda else "cpu")
        if cuda:
            torch.cuda.set_device(device)
        yield device, pool
