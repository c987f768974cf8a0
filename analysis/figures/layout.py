"""A figure of the report, one look for all of them, the signatures below, and saving."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
from matplotlib.figure import Figure

from mt_ls.records import written_whole

from ..rows import Row
from ..study import Entry


@dataclass(frozen=True)
class Drawing:
    """A figure: how to read it, and what the paper has there. ``figure`` is None where nothing was measured for it.

    ``of_paper`` is its place in the paper, empty for a figure that the paper does not have. ``split`` is the split that
    it shows, None for a figure of several.
    """

    name: str
    title: str
    of_paper: str
    how: str
    paper: str
    figure: Figure | None
    split: str | None = None

    def heading(self, of_one_split: bool = True) -> str:
        """The title with the split, where the heading is of one."""
        return f"{self.title} on {self.split}" if self.split and of_one_split else self.title


class Look(NamedTuple):
    """The colour and the marker of a model."""

    colour: str
    marker: str


# Okabe and Ito's, which colour-blind readers tell apart.
RED, BLUE, GREEN = "#d55e00", "#0072b2", "#009e73"
LOOKS = {
    0.0: Look(RED, "s"),
    0.1: Look(BLUE, "o"),
    0.3: Look(GREEN, "D"),
    0.05: Look("#56b4e9", "^"),
    0.15: Look("#cc79a7", "v"),
    0.45: Look("#e69f00", "P"),
    0.6: Look("#000000", "X"),
    0.75: Look("#999999", "*"),
}
"""The looks of the amounts of smoothing that the paper has."""
_SMALL_PRINT = 4.5
_CHARACTER = 0.61 * _SMALL_PRINT
"""Width of a character of the small print, points."""
_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "mt_ls",  # the same records give the same file
    "svg.fonttype": "none",
}


def looks(entries: Sequence[Entry], by: str = "model") -> dict[str, Look]:
    """The look of each entry of one diagram by its label: no two of the first 64 are alike.

    By model an amount of smoothing that the paper has keeps its look; other models take the looks that are left.
    """
    chosen: dict[str, Look] = {}
    if by == "model":
        for entry in entries:
            fixed = LOOKS.get(-1.0 if entry.amount is None else entry.amount)
            if fixed and entry.is_plain and fixed not in chosen.values():
                chosen[entry.label] = fixed
    mixed = (Look(one.colour, other.marker) for one, other in itertools.product(LOOKS.values(), repeat=2))
    spare = itertools.cycle([look for look in dict.fromkeys([*LOOKS.values(), *mixed]) if look not in chosen.values()])
    for entry in entries:
        if entry.label not in chosen:
            chosen[entry.label] = next(spare)
    return chosen


def names(entries: Sequence[Entry], by: str = "model") -> dict[str, str]:
    """The name of each entry in a legend, by its label: "α = 0.1" where amounts of the paper's smoothing suffice."""
    amounts = {entry.amount for entry in entries}
    if by == "model" and all(entry.is_plain for entry in entries) and len(amounts) == len(entries):
        return {entry.label: f"α = {entry.amount:g}" for entry in entries}
    return {entry.label: entry.label.replace("alpha ", "α = ") if by == "model" else entry.label for entry in entries}


def new(rows: int, columns: int, width: float, height: float = 3.6, **grid: Any) -> tuple[Figure, Any]:
    """A figure in inches without a display, and its axes (one row comes flat)."""
    matplotlib.rcParams.update(_STYLE)
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **grid)
    return figure, axes[0] if rows == 1 else axes


def sign(figure: Figure, rows: Iterable[Row]) -> None:
    """Put the signatures of what is drawn under the figure, in small print, no wider than the figure."""
    fits = int(72 * figure.get_figwidth() / _CHARACTER)
    signatures = merged([row.record.signature for row in rows])
    lines = [line for signature in signatures for line in _broken(signature, fits)]
    figure.supxlabel("\n".join(lines), fontsize=_SMALL_PRINT, color="0.45", family="monospace")


def _broken(signature: str, width: int) -> list[str]:
    """Lines of at most ``width`` characters, broken at bars."""
    words = signature.replace("|", "| ")
    return [line.replace("| ", "|") for line in textwrap.wrap(words, width, break_on_hyphens=False)]


def merged(signatures: Sequence[str]) -> list[str]:
    """One line a mode, so that they fit under the figure: where its signatures differ, their values with a comma.

    Of more than four values, the first, the last and their number.
    """
    modes: dict[tuple[str, ...], list[list[str]]] = {}
    for signature in signatures:
        parts = signature.split("|")
        modes.setdefault((parts[1], *(part.partition(":")[0] for part in parts)), []).append(parts)
    return ["|".join(map(_together, zip(*several, strict=True))) for several in modes.values()]


def _together(parts: Sequence[str]) -> str:
    name, colon, _ = parts[0].partition(":")
    values = list(dict.fromkeys(part.partition(":")[2] for part in parts))
    if len(values) > 4:
        values = [f"{values[0]}..{values[-1]} ({len(values)})"]
    return name + colon + ",".join(values)


SUFFIXES = (".svg", ".png", ".pdf")
"""The kinds of files that a figure can be written to."""
_DATES = {".svg": "Date", ".pdf": "CreationDate"}  # left out, so that the same records give the same file


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write ``name.svg`` and ``name.png`` to ``folder``."""
    return [write(figure, folder / f"{name}{suffix}") for suffix in (".svg", ".png")]


def write(figure: Figure, file: Path) -> Path:
    """Write a figure to a file, of the kind that its suffix names; a PNG has 200 dots an inch."""
    metadata = {_DATES[file.suffix]: None} if file.suffix in _DATES else None
    with written_whole(file) as path:
        figure.savefig(path, format=file.suffix[1:], dpi=200, metadata=metadata)
    return file
