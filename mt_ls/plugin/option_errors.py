"""The error of an option's value that the plugin refuses: a command ends with its line alone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


class OptionError(ValueError):
    """A value that an option cannot have. Its text is one line, which says the option or the value and the remedy."""


@contextlib.contextmanager
def option_errors() -> Iterator[None]:
    """Raise a ValueError of the block as an `OptionError`."""
    try:
        yield
    except ValueError as error:
        raise OptionError(str(error)) from None
