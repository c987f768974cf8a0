"""Commands on a terminal: Ctrl-C is one line, a character that the terminal lacks is printed as a question mark, and a
reader of the output that stops early, as ``| head``, is no error. Errors of libraries are shortened to a line.

Imports nothing that takes time, so that a command can call it before its other imports.
"""

from __future__ import annotations

import atexit
import io
import logging
import os
import sys
import warnings
from types import TracebackType

INTERRUPTED = 130
"""The status that a shell gives a command that Ctrl-C ended."""
UNREAD = 141
"""The status that a shell gives a command whose output is read no more."""


_EXTRAS = {
    "fairseq": "fairseq",
    "fairseq_cli": "fairseq",
    "omegaconf": "fairseq",
    "hydra": "fairseq",
    "transformers": "hf",
    "ctranslate2": "fast",
}
"""The extra of the project that brings a package, by the package that is imported."""


def prepare(command: str) -> None:
    """Let this process end with one line at Ctrl-C (status `INTERRUPTED`), and where a package of an extra is not
    installed (status 2), and print on any terminal."""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.exit(interrupted(command))
        if issubclass(kind, BrokenPipeError):
            sys.exit(UNREAD)
        if isinstance(error, ModuleNotFoundError) and (line := not_installed(error)):
            print(f"{command}: error: {line}", file=sys.stderr)
            sys.exit(2)
        sys.__excepthook__(kind, error, trace)

    sys.excepthook = hook
    atexit.register(_flush)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def silence_libraries() -> None:
    """Show no warning and no log line below an error: fairseq writes many while it is imported and loads a model."""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")


def _flush() -> None:
    """Print what waits to be printed, unless nobody reads it: Python would say so in two lines."""
    try:
        print(end="", flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def interrupted(command: str, then: str = ": the same command goes on") -> int:
    """Say on stderr that a command was interrupted, and ``then`` what; return its status.

    Of several workers the first one says it.
    """
    if os.environ.get("RANK", "0") == "0":
        print(f"{command}: interrupted{then}", file=sys.stderr)
    return INTERRUPTED


def not_installed(error: ModuleNotFoundError) -> str | None:
    """The line that says how to install a missing package; None where it is of no extra."""
    extra = _EXTRAS.get((error.name or "").split(".")[0])
    return extra and f"needs {error.name}, which is not installed: pip install 'mt_ls[{extra}]'"


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, or the name of its type where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
