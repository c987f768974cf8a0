"""A stop that all workers agree on: a signal to any one of them takes effect after the same update in all.

`Stop.logged` goes into what a worker logs of its batch. fairseq adds that up over workers at every update, so each
of them sees in `Stop.seen` whether any was asked.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

_KEY = "asked_to_stop"


class Stop:
    """Whether the workers have agreed to stop, and what is done then."""

    def __init__(self) -> None:
        self._asked = False
        self.agreed = False
        self._act: Callable[[], None] = lambda: None

    def listen(self, signal_number: int, act: Callable[[], None]) -> None:
        """From now on a signal asks; ``act`` is called once, in every worker, when they have agreed."""
        self._act = act
        signal.signal(signal_number, self._ask)

    def _ask(self, *_: Any) -> None:
        self._asked = True

    def logged(self) -> dict[str, int]:
        """What this worker adds to the log of its batch."""
        return {_KEY: int(self._asked)}

    def seen(self, logs: list[dict[str, Any]]) -> None:
        """Act if any worker was asked. ``logs``: what all of them logged of an update."""
        if not self.agreed and sum(log.get(_KEY, 0) for log in logs) > 0:
            self.agreed = True
            self._act()


STOP = Stop()
