"""A mean over training seeds with its spread: the bars and bands of figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.patches import Patch

from ..quantities import Quantity
from ..rows import Row, n_seeds
from . import layout
from .colours import BLACK

CAPTION = "from the least to the greatest seed, of one seed the 95 % interval over its sentences"
"""The meaning of a band, for the text beside a figure."""


class Spread(NamedTuple):
    """A mean, and the ends of its band."""

    value: float
    low: float
    high: float


def over_seeds(quantity: Quantity, rows: Sequence[Row]) -> Spread | None:
    """The mean over rows of what was measured, from the least to the greatest; None where nothing was measured.

    Of one row the ends are those of its 95 % interval over items, or the value itself where they were not kept.
    """
    values = [value for row in rows if (value := quantity.of_record(row.record)) is not None]
    if not values:
        return None
    low, high = min(values), max(values)
    if len(values) == 1:
        low, high = quantity.interval(rows) or (low, high)
    return Spread(sum(values) / len(values), low, high)


def band(rows: Sequence[Row]) -> dict[str, Any]:
    """A legend's handle for the bands of a figure of these rows, by its label."""
    return {_label(rows): Patch(facecolor=BLACK, alpha=0.2, lw=0)}


def bar(rows: Sequence[Row]) -> dict[str, Any]:
    """A legend's handle for the bars of a figure of these rows, by its label."""
    return {_label(rows): layout.handle(color=BLACK, marker="|", ms=9, ls="none")}


def _label(rows: Sequence[Row]) -> str:
    return "range of seeds" if n_seeds(rows) > 1 else "95 % interval"
