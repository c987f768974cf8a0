"""Sources and their references in plain text: the splits that a model with a tokenizer is measured on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .names import printable
from .protocol import MeasureError
from .token_files import lines_of

REPORTED, FITTED = "test", "valid"
"""The split to report on, and the split that chooses temperatures."""


class Pairs(NamedTuple):
    """Sentences of a split: ``sources`` and their ``references``."""

    sources: list[str]
    references: list[str]


class Texts(NamedTuple):
    """The pairs of each split, by name, the hash of all of them, and the ``corpus`` of a record."""

    splits: dict[str, Pairs]
    sha: str
    corpus: str


def read_texts(files: Sequence[Path]) -> Texts:
    """Return the contents of SOURCES REFERENCES [FIT_SOURCES FIT_REFERENCES], one detokenised sentence a line.

    The first two files are split `REPORTED`, the others split `FITTED`. Of two files alone the odd-numbered lines,
    counted from 0, are `REPORTED` and the even-numbered ones `FITTED`, so that no sentence does both. Raises
    MeasureError or RecordError for another number of files, files of different length, and files without text.
    """
    if len(files) not in (2, 4):
        raise MeasureError(
            f"{len(files)} text files: name SOURCES and REFERENCES, and perhaps two others that choose temperatures"
        )
    reported = _read(*files[:2])
    if len(files) == 4:
        splits = {FITTED: _read(*files[2:]), REPORTED: reported}
    elif len(reported.sources) < 2:
        raise MeasureError(f"{files[0]}: one line, and half of the lines choose temperatures: at least two are needed")
    else:
        sources, references = reported
        splits = {name: Pairs(sources[i::2], references[i::2]) for i, name in enumerate((FITTED, REPORTED))}
    return Texts(splits, _hash(splits), printable(files[0].name))


def _read(sources: Path, references: Path) -> Pairs:
    for path in (sources, references):
        if not path.is_file():
            raise MeasureError(f"{path}: {'a folder, where a text file belongs' if path.exists() else 'no such file'}")
    pairs = Pairs(lines_of(sources), lines_of(references))
    if len(pairs.sources) != len(pairs.references):
        raise MeasureError(f"{references}: {len(pairs.references)} lines for {len(pairs.sources)} of {sources}")
    for path, lines in ((sources, pairs.sources), (references, pairs.references)):
        empty = next((number for number, line in enumerate(lines, start=1) if not line.strip()), None)
        if empty is not None:
            raise MeasureError(f"{path}, line {empty}: is empty: remove it from both files")
    return pairs


def _hash(splits: dict[str, Pairs]) -> str:
    lines = (line for pairs in splits.values() for side in pairs for line in (*side, ""))
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()
