"""fairseq without the statistics that its tasks for sound and for sentences import, and no translation calls.

scikit-learn and scipy.stats take a second and more of each start. Their functions are imported when one is called.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

_STATISTICS = {"sklearn": ("sklearn", "sklearn.metrics"), "scipy.stats": ("scipy.stats",)}
"""The modules to put off, by the one that shows whether they are imported already."""


class _WhenCalled(ModuleType):
    """A module whose functions import it when they are called."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*arguments: Any, **named: Any) -> Any:
            return getattr(importlib.import_module(self.__name__), name)(*arguments, **named)

        return call


@contextlib.contextmanager
def without_statistics() -> Iterator[None]:
    """Import fairseq inside the block. Nothing changes for a library that is imported already."""
    names = [name for first, modules in _STATISTICS.items() if first not in sys.modules for name in modules]
    for name in names:
        sys.modules[name] = _WhenCalled(name)
        package, _, module = name.rpartition(".")
        if package in names:
            setattr(sys.modules[package], module, sys.modules[name])
    try:
        yield
    finally:
        for name in names:
            sys.modules.pop(name, None)
