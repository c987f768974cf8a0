"""A figure of the report, one look for all of them, the signatures below, and saving."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.lines import Line2D

from mt_ls.records import written_whole

from ..rows import Row
from ..study import Entry
from . import signatures, svg
from .colours import AMBER, BLACK, BLUE, GREEN, GREY, PURPLE, RED, SKY, SMALL_PRINT
from .signatures import Signed


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
    figure: Signed | None
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
COLUMN = 3.3
"""Width of a figure of one panel, inches: that of a column of a paper, and of a phone."""
PANEL = 2.3
"""Width of one of two panels beside each other: at the width of a column their text still has 5.7 points."""
_SMALL_PRINT, _FONT, _LEGEND = 6.5, 9.0, 8.0
_CHARACTER = 0.65
"""Width of a character over the size of its font, more than the mean."""
_ROOT_TICKS = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
_HANDLE = 7
"""Width of what a legend has beside a label, in characters."""
_STYLE: dict[Any, Any] = {
    "font.size": _FONT,
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "Helvetica"],
    "axes.titlesize": _FONT,
    "xtick.labelsize": _LEGEND,
    "ytick.labelsize": _LEGEND,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": _LEGEND,
    "legend.markerscale": 1.4,
    "figure.constrained_layout.w_pad": 0.08,
    "text.parse_math": False,  # a dollar in the name of a model is a dollar
    "svg.hashsalt": "mt_ls",  # the same records give the same file
    "svg.fonttype": "none",
    "pdf.fonttype": 42,  # whole TrueType fonts, which journals ask for
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


def wrapped(text: str, inches: float, size: float = _FONT) -> str:
    """The text of a title or a legend in lines that fit into a width, in a font of this size."""
    return "\n".join(_broken(text, _fits(inches, size), joints=" -/_,"))


def legend(part: Signed | SubFigure, handles: Mapping[str, Any], title: str = "") -> None:
    """Put a legend of the handles by their labels above the axes, no wider than the figure, and make room for it."""
    width = part.figure.get_figwidth()
    labels = [wrapped(label, width - 0.5, _LEGEND) for label in handles]
    widths = [_HANDLE + max(map(len, label.splitlines())) for label in labels]
    fits = _fits(width, _LEGEND)
    columns = len(labels) if sum(widths) <= fits else max(1, fits // max(widths))
    n_lines = sum(len(label.splitlines()) for label in labels) / columns + bool(title)
    part.figure.set_figheight(part.figure.get_figheight() + 1.4 * _LEGEND / 72 * n_lines)
    place: dict[str, Any] = {"loc": "outside upper left", "borderaxespad": 0.2, "alignment": "left"}
    part.legend(handles.values(), labels, ncols=columns, title=title, title_fontsize=_LEGEND, **place)


def handle(**style: Any) -> Line2D:
    """A legend's handle for a line or a mark of this style."""
    return Line2D([], [], **style)


def blank(width: float, height: float) -> Signed:
    """A figure in inches without a display and without axes."""
    matplotlib.rcParams.update(_STYLE)
    return Signed(figsize=(width, height), layout="constrained")


def new(rows: int, columns: int, width: float, height: float = 3.6, **grid: Any) -> tuple[Signed, Any]:
    """A figure in inches without a display, and its axes (one row comes flat)."""
    figure = blank(width, height)
    axes = figure.subplots(rows, columns, squeeze=False, **grid)
    return figure, axes[0] if rows == 1 else axes


def width_of(columns: int) -> float:
    """The width in inches of a figure with so many panels in a line."""
    return COLUMN if columns == 1 else PANEL * columns


def square_root(axes: Axes, which: str, greatest: float, apart: float) -> None:
    """Give the axis ``which`` ("x" or "y") of an ECE a square-root scale from 0 to above the ``greatest``.

    It shows the difference of 0.02 and 0.1 and, unlike a logarithm, 0, which is calibrated. Ticks are at least
    ``apart``, a share of the axis.
    """
    top = 1.1 * max(greatest, 1e-3)
    ticks = [tick for tick in _ROOT_TICKS if tick <= top][::-1]
    kept = ticks[:1]
    for tick in ticks[1:]:
        if np.sqrt(kept[-1] / top) - np.sqrt(tick / top) >= apart:
            kept.append(tick)
    getattr(axes, f"set_{which}scale")("function", functions=(_root, np.square))
    getattr(axes, f"set_{which}lim")(0, top)
    getattr(axes, f"set_{which}ticks")(kept, [f"{tick:g}" for tick in kept], minor=False)


def logarithm(axes: Axes, low: float, high: float, digits: Sequence[float] = (1,), every: int = 1) -> None:
    """Give the vertical axis a logarithmic scale with ticks at these digits times every first, second ... power of
    ten."""
    ticks = [digit * 10.0**power for power in range(-6, 12, every) for digit in digits]
    inside = [tick for tick in ticks if low <= tick <= high]
    axes.set(yscale="log", ylim=(low, high))
    axes.set_yticks([], minor=True)
    axes.set_yticks(inside, [f"{tick:.10g}" for tick in inside])


def _root(values: Any) -> Any:
    return np.sqrt(np.maximum(values, 0.0))  # margins may lie below 0


def sign(figure: Signed, rows: Sequence[Row], of_bins: bool = True) -> None:
    """Put a short signature of what is drawn under the figure, no wider than it, and the whole ones in its metadata."""
    parts = "; ".join(signatures.short(rows, of_bins))
    lines = _broken(parts, _fits(figure.get_figwidth(), _SMALL_PRINT), joints=";")
    figure.supxlabel("\n".join(lines), color=SMALL_PRINT, gid=svg.SMALL_PRINT, fontsize=_SMALL_PRINT)
    figure.signatures = signatures.whole(rows)


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


SUFFIXES = (".svg", ".png", ".pdf")
"""The kinds of files that a figure can be written to."""


def save(figure: Signed, folder: Path, name: str) -> list[Path]:
    """Write ``name.svg`` and ``name.png`` to ``folder``."""
    return [write(figure, folder / f"{name}{suffix}") for suffix in (".svg", ".png")]


def write(figure: Signed, file: Path) -> Path:
    """Write a figure to a file, of the kind that its suffix names; a PNG has 200 dots an inch."""
    with written_whole(file) as path:
        if file.suffix == ".svg":
            path.write_text(svg.as_file(figure), encoding="utf-8")
        else:
            figure.savefig(path, format=file.suffix[1:], dpi=200, metadata=figure.metadata(file.suffix))
    return file
