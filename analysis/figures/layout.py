"""A figure of the report, one look for all of them, the signatures below, and saving."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
from matplotlib.figure import Figure, SubFigure

from mt_ls.records import written_whole

from ..rows import Row
from ..study import Entry
from . import svg
from .colours import AMBER, BLACK, BLUE, GREEN, GREY, PURPLE, RED, SKY, SMALL_PRINT


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


LOOKS = {
    0.0: Look(RED, "s"),
    0.1: Look(BLUE, "o"),
    0.3: Look(GREEN, "D"),
    0.05: Look(SKY, "^"),
    0.15: Look(PURPLE, "v"),
    0.45: Look(AMBER, "P"),
    0.6: Look(BLACK, "X"),
    0.75: Look(GREY, "*"),
}
"""The looks of the amounts of smoothing that the paper has."""
PANEL = 3.3
"""Width of a panel, inches: three fit beside each other on a page, and one on a phone."""
_SMALL_PRINT, _FONT, _LEGEND = 4.5, 9.0, 8.0
_CHARACTER = 0.65
"""Width of a character over the size of its font: of the small print each, of other text more than the mean."""
_HANDLE = 7
"""Width of what a legend has beside a label, in characters."""
_STYLE: dict[Any, Any] = {
    "font.size": _FONT,
    "font.sans-serif": ["DejaVu Sans", "Verdana"],
    "font.monospace": ["DejaVu Sans Mono"],
    "axes.titlesize": _FONT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": _LEGEND,
    "legend.markerscale": 1.4,
    "figure.constrained_layout.w_pad": 0.08,
    "text.parse_math": False,  # a dollar in the name of a model is a dollar
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
    spare = itertools.cycle(look for look in _all_looks() if look not in chosen.values())
    for entry in entries:
        if entry.label not in chosen:
            chosen[entry.label] = next(spare)
    return chosen


def _all_looks() -> Iterator[Look]:
    """Each colour with its own marker, and then with each other marker; neighbours differ in their colours."""
    colours, markers = zip(*LOOKS.values(), strict=True)
    for shift in range(len(markers)):
        yield from map(Look, colours, [*markers[shift:], *markers[:shift]])


def names(entries: Sequence[Entry], by: str = "model") -> dict[str, str]:
    """The name of each entry in a legend, by its label: "α = 0.1" where amounts of the paper's smoothing suffice."""
    amounts = {entry.amount for entry in entries}
    if by == "model" and all(entry.is_plain for entry in entries) and len(amounts) == len(entries):
        return {entry.label: f"α = {entry.amount:g}" for entry in entries}
    return {entry.label: entry.label.replace("alpha ", "α = ") if by == "model" else entry.label for entry in entries}


def wrapped(text: str, inches: float) -> str:
    """The text of a title or a legend in lines that fit into a width."""
    return "\n".join(_broken(text, _fits(inches, _FONT), joints=" -/_,"))


def legend(part: Figure | SubFigure, handles: Mapping[str, Any]) -> None:
    """Put a legend of the handles by their labels above the axes, no wider than a panel, and make room for it."""
    labels = [wrapped(label, PANEL - 0.5) for label in handles]
    widths = [_HANDLE + max(map(len, label.splitlines())) for label in labels]
    fits = _fits(PANEL, _LEGEND)
    columns = len(labels) if sum(widths) <= fits else max(1, fits // max(widths))
    n_lines = sum(len(label.splitlines()) for label in labels) / columns
    part.figure.set_figheight(part.figure.get_figheight() + 1.4 * _LEGEND / 72 * n_lines)
    part.legend(handles.values(), labels, loc="outside upper left", ncols=columns, borderaxespad=0.2)


def blank(width: float, height: float) -> Figure:
    """A figure in inches without a display and without axes."""
    matplotlib.rcParams.update(_STYLE)
    return Figure(figsize=(width, height), layout="constrained")


def new(rows: int, columns: int, width: float, height: float = 3.6, **grid: Any) -> tuple[Figure, Any]:
    """A figure in inches without a display, and its axes (one row comes flat)."""
    figure = blank(width, height)
    axes = figure.subplots(rows, columns, squeeze=False, **grid)
    return figure, axes[0] if rows == 1 else axes


def sign(figure: Figure, rows: Iterable[Row]) -> None:
    """Put the signatures of what is drawn under the figure, in small print, no wider than the figure."""
    fits = _fits(figure.get_figwidth(), _SMALL_PRINT)
    signatures = merged([row.record.signature for row in rows])
    lines = [line for signature in signatures for line in _broken(signature, fits, joints="|")]
    text, font = "\n".join(lines), {"fontsize": _SMALL_PRINT, "family": "monospace"}
    figure.supxlabel(text, color=SMALL_PRINT, gid=svg.SMALL_PRINT, **font)


def _fits(inches: float, size: float) -> int:
    """How many characters of this size fit into a width."""
    return int(72 * inches / (_CHARACTER * size))


def _broken(text: str, width: int, joints: str) -> list[str]:
    """Lines of at most ``width`` characters, broken after a joint, or anywhere in a word that is too long."""
    word = f"[^{re.escape(joints)}]"
    lines = [""]
    for piece in re.findall(f"{word}{{0,{width - 1}}}[{re.escape(joints)}]|{word}{{1,{width}}}", text):
        if len(lines[-1]) + len(piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return [line.strip() for line in lines]


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


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write ``name.svg`` and ``name.png`` to ``folder``."""
    return [write(figure, folder / f"{name}{suffix}") for suffix in (".svg", ".png")]


def write(figure: Figure, file: Path) -> Path:
    """Write a figure to a file, of the kind that its suffix names; a PNG has 200 dots an inch."""
    with written_whole(file) as path:
        if file.suffix == ".svg":
            path.write_text(svg.as_file(figure), encoding="utf-8")
        else:
            # Without its date, so that the same records give the same file.
            metadata = {"CreationDate": None} if file.suffix == ".pdf" else None
            figure.savefig(path, format=file.suffix[1:], dpi=200, metadata=metadata)
    return file
