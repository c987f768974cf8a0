"""Records files: JSON lines that are written whole or not at all, and are read past a torn last line."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from .record import Record, RecordError

_BEGINNING = b'{"schema": '
"""The beginning of every record's line."""


def append(path: str | Path, record: Record) -> None:
    """Append one whole line, safe against other writers and against a kill: a torn last line is removed first.

    Raises RecordError for text that is not UTF-8, or a last line that is no part of a record; the file stays as it is.
    """
    path = Path(path)
    line = (record.to_json() + "\n").encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        file.truncate(len(_whole_lines(path, file.read()).encode()))
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def read(path: str | Path) -> list[Record]:
    """Every record of a file, in order. A torn last line is skipped.

    Raises RecordError (file and line) for any other line that is no record.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise RecordError(f"{path}: cannot be read: {error}") from None
    text = _whole_lines(path, content)
    records = []
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        try:
            records.append(Record.from_json(line))
        except RecordError as error:
            raise RecordError(f"{path}:{number}: {error}") from None
    return records


def _whole_lines(path: str | Path, content: bytes) -> str:
    """The text of a file without its torn last line, which may end inside a character.

    Raises RecordError for text that is not UTF-8, and a last line that is no part of a record.
    """
    end = content.rfind(b"\n") + 1
    torn = content[end:]
    try:
        text = content[:end].decode()
    except UnicodeDecodeError as error:
        raise RecordError(f"{path}: cannot be read: {error}") from None
    if not torn.startswith(_BEGINNING[: len(torn)]):
        raise RecordError(
            f"{path}: ends with a line that is no part of a record: remove the line, or name another file"
        )
    return text


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
