"""fairseq without scikit-learn, which its tasks for sound and for sentences import, and no translation calls.

It takes a second of each start. Its functions are imported when one of them is called.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

_NAMES = ("sklearn", "sklearn.metrics")


class _Metrics(ModuleType):
    """`sklearn.metrics`, whose functions import it when they are called."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*arguments: Any, **named: Any) -> Any:
            return getattr(importlib.import_module("sklearn.metrics"), name)(*arguments, **named)

        return call


@contextlib.contextmanager
def without_sklearn() -> Iterator[None]:
    """Import fairseq inside the block. Nothing changes where scikit-learn is imported already."""
    if "sklearn" in sys.modules:
        yield
        return
    package, metrics = ModuleType(_NAMES[0]), _Metrics(_NAMES[1])
    package.metrics = metrics  # type: ignore[attr-defined]
    package.__path__ = []
    sys.modules.update(zip(_NAMES, (package, metrics), strict=True))
    try:
        yield
    finally:
        for name in _NAMES:
            sys.modules.pop(name, None)
