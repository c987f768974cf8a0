"""Records files: JSON lines that are written whole or not at all, and are read past a torn last line."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from .record import Record, RecordError

_BEGINNING = b'{"schema": '
"""What every record begins with."""


def append(path: str | Path, record: Record) -> None:
    """Append one whole line, safe against other writers and against a kill: a torn last line is removed first."""
    path = Path(path)
    line = (record.to_json() + "\n").encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def read(path: str | Path) -> list[Record]:
    """Every record of a file, in order. A torn last line is skipped.

    Raises RecordError (file and line) for any other line that is no record.
    """
    try:
        content = Path(path).read_bytes()
        end = content.rfind(b"\n") + 1
        text, torn = content[:end].decode(), content[end:]  # a torn last line may end inside a character
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: cannot be read: {error}") from None
    if not torn.startswith(_BEGINNING[: len(torn)]):  # `append` would remove it
        raise RecordError(
            f"{path}: ends with a line that is no part of a record: remove the line, or name another file"
        )
    records = []
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        try:
            records.append(Record.from_json(line))
        except RecordError as error:
            raise RecordError(f"{path}:{number}: {error}") from None
    return records


@contextlib.contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """A path beside ``path`` to write to. It is renamed to ``path`` when the block ends well, and removed otherwise."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield aside
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
