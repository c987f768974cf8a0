"""The paths and names that a user gives: what they must be, found out before anything is loaded."""

from __future__ import annotations

import os
from pathlib import Path

from .protocol import MeasureError

_BEGINNING = 4096
"""Bytes of a file that tell text from a checkpoint."""


def check_paths(data: Path, checkpoint: Path) -> None:
    """Raise MeasureError for paths that cannot be binarised data and the file of a checkpoint."""
    if data.is_file() and checkpoint.is_dir():
        raise MeasureError(f"{data} is a file and {checkpoint} a folder: the folder of the data comes first")
    check_data(data)
    check_checkpoint(checkpoint)


def check_data(data: Path) -> None:
    """Raise MeasureError for a path that is no folder of binarised data."""
    if data.is_file():
        raise MeasureError(f"{data}: a file, where the folder of the binarised data belongs")
    if not data.is_dir():
        raise MeasureError(f"{data}: no such data folder; make it with python -m data_prep")
    if not any(data.glob("dict.*.txt")):
        raise MeasureError(f"{data}: no binarised translations (no dict.LANGUAGE.txt); make them: python -m data_prep")
    if os.pathsep in str(data):
        raise MeasureError(f"{data}: fairseq takes {os.pathsep!r} in a path for a list of folders: rename the folder")


def check_checkpoint(path: Path) -> None:
    """Raise MeasureError for a path that cannot be a checkpoint's file."""
    if path.is_dir():
        names = sorted(file.name for file in [*path.glob("*.pt"), *path.glob("checkpoints/*.pt")])
        inside = f"; it has {', '.join(names[:3])}" + (" ..." if len(names) > 3 else "") if names else ""
        raise MeasureError(f"{path}: a folder, where the file of a checkpoint belongs{inside}")
    if not path.is_file():
        raise MeasureError(f"{path}: no such checkpoint")
    with path.open("rb") as file:
        beginning = file.read(_BEGINNING)
    if not beginning:
        raise MeasureError(f"{path}: not a fairseq checkpoint: it is empty")
    if _is_text(beginning):
        raise MeasureError(f"{path}: not a fairseq checkpoint: it is a text file")


def is_ctranslate2(path: Path) -> bool:
    """Return whether a path is a folder of CTranslate2."""
    return (path / "model.bin").is_file() and any(path.glob("*_vocabulary.*"))


def check_split(name: str) -> None:
    """Raise MeasureError for what cannot be the name of a split, which is part of files' names."""
    if not name or "/" in name or not name.isprintable():
        raise MeasureError(f"{name!r} is no name of a split: a name is not empty, and has no slash and no line break")


def check_run(name: str) -> None:
    """Raise MeasureError for what cannot be the name of a run."""
    if not name or not name.isprintable():
        raise MeasureError(f"--run {name!r}: a name is not empty, and can be printed")


def check_output(file: Path) -> None:
    """Raise MeasureError for a file that cannot be written, as where a folder of its path is a file."""
    try:
        str(file.absolute()).encode()
    except UnicodeEncodeError:
        raise MeasureError(f"{file}: a path that is not UTF-8, as Parquet files need it: name another one") from None
    above = next(path for path in (file, *file.absolute().parents) if path.exists())
    if above.is_dir() == (above == file):
        raise MeasureError(f"{above}: a {'folder' if above.is_dir() else 'file'}, so that {file} cannot be written")
    if not os.access(above, os.W_OK):
        raise MeasureError(f"{file}: cannot be written: {above} is read-only, or another user's")


def _is_text(beginning: bytes) -> bool:
    """Whether a file that begins so is text in UTF-8. A character may be cut at the end."""
    try:
        text = beginning.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(beginning) - 3:
            return False
        text = beginning[: error.start].decode("utf-8")
    return "\0" not in text
