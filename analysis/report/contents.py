"""What a report is made of: figures, tables, and the key numbers in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from ..rows import Row


@dataclass(frozen=True)
class Drawing:
    """A figure of the report: how to read it, and what the paper has there."""

    name: str
    title: str
    draw: Callable[[Sequence[Row]], Figure | None]
    how: str
    paper: str


@dataclass(frozen=True)
class Table:
    """A table of the report: how to read it, and its cells. Where ``whole`` an empty cell is a missing measurement."""

    name: str
    title: str
    how: str
    header: Sequence[str]
    cells: Sequence[Sequence[str]]
    whole: bool = True


@dataclass(frozen=True)
class Contents:
    """The figures, the tables, and for a reader who does not see the figures the key numbers at T = 1. ``one_model``
    chooses the rows of figures that show one model without and with smoothing."""

    drawings: Sequence[Drawing]
    tables: Callable[[Sequence[Row]], list[Table]]
    in_words: Callable[[Sequence[Row]], str]
    one_model: Callable[[Sequence[Row]], list[Row]]
