"""The workers of one measurement, as torchrun starts them: each does its share of the batches, the first one writes.

What a batch gives does not depend on who computes it, and the first worker puts all of it in order before anything is
summed: so records are those of one worker, bit for bit.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable
from typing import Any, TypeVar

from torch import distributed

T = TypeVar("T")


def rank() -> int:
    """The number of this worker; 0 where torchrun has not started it."""
    return int(os.environ["RANK"]) if distributed.is_torchelastic_launched() else 0


class Workers:
    """This worker among all; alone where torchrun has not started it."""

    def __init__(self) -> None:
        together = distributed.is_torchelastic_launched()
        self.n = int(os.environ["WORLD_SIZE"]) if together else 1
        self.rank = rank()
        self.local_rank = int(os.environ["LOCAL_RANK"]) if together else 0
        if self.n > 1 and not distributed.is_initialized():
            distributed.init_process_group("gloo")  # Python objects in main memory travel, on any device
            # Left to the interpreter's end, gloo's threads may abort it after all work is done.
            atexit.register(distributed.destroy_process_group)

    @property
    def is_first(self) -> bool:
        """Whether this worker writes."""
        return self.rank == 0

    def share(self, items: list[T]) -> list[T]:
        """This worker's of the items that all have."""
        return items[self.rank :: self.n]

    def gather(self, part: T) -> list[T]:
        """Every worker's part, for the first one; nothing for the others."""
        if self.n == 1:
            return [part]
        parts: list[Any] | None = [None] * self.n if self.is_first else None
        distributed.gather_object(part, parts)
        return parts or []

    def from_first(self, make: Callable[[], T]) -> T:
        """What the first worker makes, for all."""
        if self.n == 1:
            return make()
        made = [make() if self.is_first else None]
        distributed.broadcast_object_list(made)
        return made[0]  # type: ignore[return-value]
