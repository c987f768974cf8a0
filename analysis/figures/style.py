"""One look for every figure, the signature under it, and saving as SVG and PNG."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from mt_ls.records.record import written_whole

# Okabe and Ito's, which colour-blind readers tell apart.
RED, BLUE, GREEN = "#d55e00", "#0072b2", "#009e73"
_LOOKS = {
    0.0: (RED, "s"),
    0.05: ("#56b4e9", "^"),
    0.1: (BLUE, "o"),
    0.15: ("#cc79a7", "v"),
    0.3: (GREEN, "D"),
    0.45: ("#e69f00", "P"),
    0.6: ("#000000", "X"),
    0.75: ("#999999", "*"),
}
"""Colour and marker of the amounts of smoothing that the paper has."""
_SMALL_PRINT = 4.5
_CHARACTER = 0.61 * _SMALL_PRINT
"""Width of one of its characters, points."""
_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "mt_ls",  # the same records give the same file
    "svg.fonttype": "none",
}


def colour(alpha: float | None) -> str:
    """The colour of an amount of smoothing: red for none, blue for 0.1."""
    return _look(alpha)[0]


def marker(alpha: float | None) -> str:
    """The marker that goes with it."""
    return _look(alpha)[1]


def _look(alpha: float | None) -> tuple[str, str]:
    return _LOOKS.get(alpha if alpha is not None else -1.0, (GREEN, "D"))


def new(rows: int, columns: int, width: float, height: float = 3.6, **grid: Any) -> tuple[Figure, Any]:
    """A figure in inches without a display, and its axes (one row comes flat)."""
    matplotlib.rcParams.update(_STYLE)
    fig = Figure(figsize=(width, height), layout="constrained")
    axes = fig.subplots(rows, columns, squeeze=False, **grid)
    return fig, axes[0] if rows == 1 else axes


def sign(fig: Figure, signatures: Sequence[str]) -> None:
    """Put the signatures under the figure, in small print; what is wider than the figure goes on in the next line."""
    fits = int(72 * fig.get_figwidth() / _CHARACTER)
    lines = [line for signature in merged(signatures) for line in _broken(signature, fits)]
    fig.supxlabel("\n".join(lines), fontsize=_SMALL_PRINT, color="0.45", family="monospace")


def _broken(signature: str, width: int) -> list[str]:
    """Lines of at most so many characters, broken at bars."""
    words = signature.replace("|", "| ")
    return [line.replace("| ", "|") for line in textwrap.wrap(words, width, break_on_hyphens=False)]


def merged(signatures: Sequence[str]) -> list[str]:
    """One line a kind of measurement, so that they stay under the figure: where its signatures differ, their values,
    with a comma between; of more than four the first, the last and how many they are."""
    kinds: dict[tuple[str, ...], list[list[str]]] = {}
    for signature in signatures:
        parts = signature.split("|")
        kinds.setdefault((parts[1], *(part.partition(":")[0] for part in parts)), []).append(parts)
    return ["|".join(map(_together, zip(*several, strict=True))) for several in kinds.values()]


def _together(parts: Sequence[str]) -> str:
    name, colon, _ = parts[0].partition(":")
    values = list(dict.fromkeys(part.partition(":")[2] for part in parts))
    if len(values) > 4:
        values = [f"{values[0]}..{values[-1]} ({len(values)})"]
    return name + colon + ",".join(values)


def save(fig: Figure, folder: Path, name: str) -> list[Path]:
    """``name.svg`` and ``name.png`` (200 dots an inch) in ``folder``."""
    paths = []
    for suffix in ("svg", "png"):
        with written_whole(folder / f"{name}.{suffix}") as path:
            fig.savefig(path, format=suffix, dpi=200, metadata={"Date": None} if suffix == "svg" else None)
        paths.append(folder / f"{name}.{suffix}")
    return paths
