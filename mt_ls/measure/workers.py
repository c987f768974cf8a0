"""The worker processes of one measurement, as torchrun starts them.

Each worker computes its share of the batches, and the first one writes. The result of a batch does not depend on its
worker, and the first worker sorts all results by sentence before it adds them up. So the records are those of a single
worker, bit for bit, where the batches are the same: on a CPU, unless they are fewer than the workers. Other batches
(see `windows`, and a search on a GPU, which joins them) round otherwise.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import distributed

T = TypeVar("T")


@dataclass(frozen=True)
class Workers:
    """This worker, number ``rank`` of ``n``."""

    n: int = 1
    rank: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this worker writes."""
        return self.rank == 0

    def share(self, items: list[T]) -> list[T]:
        """The items that are this worker's part of a list that all workers hold."""
        return items[self.rank :: self.n]

    def gather(self, part: T) -> list[T]:
        """The parts of all workers, in the order of their ranks, for the first worker; an empty list for the others."""
        if self.n == 1:
            return [part]
        parts: list[Any] | None = [None] * self.n if self.is_first else None
        distributed.gather_object(part, parts)
        return parts or []

    def from_first(self, compute: Callable[[], T]) -> T:
        """The result of ``compute()`` in the first worker, for all workers."""
        if self.n == 1:
            return compute()
        result = [compute() if self.is_first else None]
        distributed.broadcast_object_list(result)
        return result[0]  # type: ignore[return-value]


ALONE = Workers()
"""A process without other workers."""


def rank() -> int:
    """The number of this worker; 0 without torchrun."""
    return int(os.environ["RANK"]) if distributed.is_torchelastic_launched() else 0


def local_rank() -> int:
    """The number of this worker on its machine; 0 without torchrun."""
    return int(os.environ["LOCAL_RANK"]) if distributed.is_torchelastic_launched() else 0


def joined() -> Workers:
    """The workers that torchrun started, connected with each other; `ALONE` without torchrun."""
    if not distributed.is_torchelastic_launched() or os.environ["WORLD_SIZE"] == "1":
        return ALONE
    if not distributed.is_initialized():
        distributed.init_process_group("gloo")  # the workers exchange Python objects in main memory, on any device
        # At the interpreter's end the threads of gloo may abort a process that has done its work.
        atexit.register(distributed.destroy_process_group)
    return Workers(int(os.environ["WORLD_SIZE"]), rank())
