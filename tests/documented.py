"""Names in docs/records.md: files of finished runs, and fields."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from commands import ROOT

PAGE = ROOT / "docs" / "records.md"
_FIRST_CELL = re.compile(r"^\| (`.*?) \|", re.MULTILINE)


def names(section: str) -> set[str]:
    """The words in backticks in the first column of the tables of a section."""
    text = PAGE.read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return {name for cell in _FIRST_CELL.findall(text) for name in re.findall("`([^`]+)`", cell)}


def unnamed_files(tree: Path, data: str) -> list[str]:
    """The files of the runs on these data, of the data and of their report that the page does not name."""
    patterns = [re.compile(_regex(name)) for name in names("Files of a finished run") if "/" in name]
    places = (f"data-bin/{data}", f"data-bin/.{data}.*", f"runs/{data}_*", f"out/{data}")
    roots = [root for place in places for root in tree.glob(place)]
    files = [path for root in roots for path in (root.rglob("*") if root.is_dir() else [root]) if path.is_file()]
    assert files
    relative = (path.relative_to(tree).as_posix() for path in files)
    return [name for name in relative if not any(pattern.fullmatch(name) for pattern in patterns)]


def _regex(name: str) -> str:
    """The expression of a name in which {a,b} are alternatives, * anything, and capitals stand for a name."""
    words = re.split(r"(\{.*?\}|\*|\b[A-Z]{2,}|(?<=_)[A-Z]{2,}|(?<=\.)[A-Z]{2,})", name)
    return "".join(map(_word, words))


def _word(word: str) -> str:
    if word.startswith("{"):
        return f"({'|'.join(map(_regex, word[1:-1].split(',')))})"
    return "[^/]+" if word == "*" or re.fullmatch("[A-Z]{2,}", word) else re.escape(word)


def unnamed_keys(records: Path) -> set[str]:
    """The keys of a file of records, and of the objects in them, that the page has nowhere in backticks."""
    named = re.findall("`([^`\n]+)`", PAGE.read_text())
    known = {*named, *itertools.chain(*(re.split(r"[^\w]+", text) for text in named))}
    return {key for line in records.read_text().splitlines() for key in _keys(json.loads(line))} - known


def _keys(value: Any) -> Iterator[str]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in inside:
        if isinstance(key, str):
            yield key
        if key not in ("versions", "bins_by_class"):  # their keys are names of packages and of token classes
            yield from _keys(below)
