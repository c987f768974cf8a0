"""A table of the report, and its layout as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tabulate import tabulate

Cells = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Table:
    """A table: how to read it, and its cells. Where ``whole`` an empty cell is a missing measurement.

    ``split`` is the split that it reports on, None for a table of several.
    """

    name: str
    title: str
    how: str
    header: Sequence[str]
    cells: Cells
    whole: bool = True
    split: str | None = None

    @property
    def heading(self) -> str:
        """The title with the split."""
        return f"{self.title} on {self.split}" if self.split else self.title

    def text(self) -> str:
        """Aligned columns, the first one to the left."""
        return text(self.header, self.cells)


def text(header: Sequence[str], cells: Cells) -> str:
    """Aligned columns, the first one to the left; a missing cell is empty."""
    lines = [header, *cells]  # as a first line: tabulate pads what it takes for a header
    aligned = ["left", *["right"] * (len(header) - 1)]
    plain = tabulate(lines, tablefmt="plain", disable_numparse=True, colalign=aligned)
    return "\n".join(line.rstrip() for line in plain.splitlines())


def markdown(header: Sequence[str], cells: Cells) -> str:
    """A table of Markdown. Its columns are not padded, so that a changed cell changes one line of a page."""
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, ["---"] * len(header), *cells])
