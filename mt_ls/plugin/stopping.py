"""A stop that all workers agree on: a signal to any one of them stops all after the same update.

`Stop.logged` goes into a worker's log of its batch. fairseq adds the logs of all workers up at every update, so that
each of them sees in `Stop.seen` whether a signal has asked any.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

_KEY = "asked_to_stop"


class Stop:
    """Whether a signal has asked this worker to stop, whether all have agreed, and the action then."""

    def __init__(self) -> None:
        self.asked = False
        self.agreed = False
        self._act: Callable[[], None] = lambda: None

    def listen(self, signal_number: int, act: Callable[[], None]) -> None:
        """Let a signal ask for the stop; every worker calls ``act`` once, when they have agreed."""
        self._act = act
        signal.signal(signal_number, self._ask)

    def _ask(self, *_: Any) -> None:
        self.asked = True

    def logged(self) -> dict[str, int]:
        """This worker's entry in the log of its batch."""
        return {_KEY: int(self.asked)}

    def seen(self, logs: list[dict[str, Any]]) -> None:
        """Act if a signal has asked any worker. ``logs``: the logs of all workers of an update."""
        if not self.agreed and sum(log.get(_KEY, 0) for log in logs) > 0:
            self.agreed = True
            self._act()


STOP = Stop()
