"""The paper's Figure 4: ECE, BLEU and NLL against temperature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from .. import paper
from ..quantities import BLEU, ECE, NLL, Quantity
from ..rows import Row, at_fitted, mean, n_seeds, of_widest_grid
from ..study import Entry, Study
from . import layout, spread
from .colours import BLACK, FAINT, WHITE
from .layout import Drawing, Look
from .signatures import Signed
from .spread import Spread

_PANELS = (
    (ECE, "forced", "forced ECE\n(square-root scale)"),
    (BLEU, "beam", "BLEU"),
    (NLL, "forced", "NLL (nats a token)"),
)
"""Of each panel the quantity, the mode that measures it, and the label of its axis."""


class Optimum(NamedTuple):
    """The best measured temperature of a curve, between its measured neighbours; None where it has none."""

    below: float | None
    best: float
    above: float | None


def drawing(study: Study) -> Drawing:
    """A panel of ECE, of BLEU and of NLL, with every compared model."""
    return Drawing(
        "temperature",
        "BLEU and calibration against temperature",
        "Figure 4",
        f"Means over the training seeds that were measured at the most temperatures; bands: {spread.CAPTION}. Open "
        "marks: the fitted temperature. The bar at the foot of a panel spans the measured neighbours of the best "
        "temperature, between which the optimum lies; with an arrow it lies beyond what was measured.",
        f"its curves are only drawn. Base Transformer, dev: BLEU {paper.BLEU[0]} to {paper.BLEU[1]} and perplexity "
        f"{paper.PERPLEXITY[0]} to {paper.PERPLEXITY[1]} with smoothing (Table 1).",
        figure(study.of_main_search),
        study.split,
    )


def by_temperature(rows: Sequence[Row], quantity: Quantity) -> dict[float, Spread]:
    """The means over runs of a quantity with their spread, by temperature in order.

    A temperature at which not all runs were measured, as one that was fitted to its run, is left out.
    """
    measured: dict[float, list[Row]] = {}
    for row in rows:
        if quantity.of_record(row.record) is not None:
            measured.setdefault(row.record.temperature, []).append(row)
    n_runs = max(map(len, measured.values()), default=0)
    points = ((t, spread.over_seeds(quantity, measured[t])) for t in sorted(measured) if len(measured[t]) == n_runs)
    return {temperature: point for temperature, point in points if point is not None}


def optimum(points: dict[float, Spread], quantity: Quantity) -> Optimum:
    """Where the mean of a quantity is best. Raises ValueError for no point."""
    temperatures = list(points)
    best = max(range(len(points)), key=lambda i: quantity.better * points[temperatures[i]].value)
    below, above = temperatures[:best], temperatures[best + 1 :]
    return Optimum(below[-1] if below else None, temperatures[best], above[0] if above else None)


def figure(study: Study) -> Signed | None:
    """None where no model was measured at several temperatures."""
    entries, split = compared(study), study.split
    forced = [row for entry in entries for row in entry.select(split=split, mode="forced")]
    if len({row.record.temperature for row in forced}) < 2:
        return None
    rows = [
        row
        for entry in entries
        for mode in ("forced", "beam")
        for row in of_widest_grid(entry.select(split=split, mode=mode))
    ]
    panels = [panel for panel in _PANELS if any(panel[0].of_record(row.record) is not None for row in rows)]
    fig, grid = layout.new(len(panels), 1, width=layout.COLUMN, height=0.5 + 1.5 * len(panels), sharex=True)
    looks, names = layout.looks(study.entries, study.by), layout.names(study.entries, study.by)
    handles: dict[str, Any] = {}
    for axis, (quantity, mode, label) in zip(np.ravel(grid), panels, strict=True):
        axis.axvline(1, color=FAINT, lw=0.8, ls=":")
        axis.set_ylabel(label)
        for rank, entry in enumerate(entries):
            of_mode, look = of_widest_grid(entry.select(split=split, mode=mode)), looks[entry.label]
            curve = _draw(axis, of_mode, quantity, look, rank)
            handles[names[entry.label]] = curve or layout.handle(color=look.colour, marker=look.marker, ms=3)
        _scale(axis, quantity)
    np.ravel(grid)[-1].set_xlabel("temperature T")
    of_most_seeds = max((of_widest_grid(entry.select(split=split, mode="forced")) for entry in entries), key=n_seeds)
    layout.legend(fig, handles | _meanings(rows) | spread.band(of_most_seeds))
    layout.sign(fig, rows)
    return fig


def compared(study: Study) -> list[Entry]:
    """The first pair of a model without smoothing and its smoothed one, or else the first models; by run, all runs."""
    if study.by == "run":
        return study.entries
    first = [entry for pair in study.comparisons[:1] for entry in pair if entry is not None]
    return first if len(first) == 2 else study.entries[:2]


def _draw(axis: Axes, rows: Sequence[Row], quantity: Quantity, look: Look, rank: int) -> Line2D | None:
    """Draw the curve of one model and its band, its fitted temperature and its optimum; the curve, if it was measured.
    ``rank`` is its place among the models."""
    points = by_temperature(rows, quantity)
    if not points:
        return None
    colour, marker = look
    values, low, high = zip(*points.values(), strict=True)
    axis.fill_between([*points], low, high, color=colour, alpha=0.2, lw=0)
    (curve,) = axis.plot([*points], values, color=colour, marker=marker, ms=3, lw=1)
    fitted = at_fitted(rows)
    point, at = spread.over_seeds(quantity, fitted), mean(row.record.temperature for row in fitted)
    if point is not None and at is not None:
        axis.plot([at], [point.value], marker=marker, ms=7, mfc=WHITE, mec=colour, mew=1.3, ls="none")
    _bracket(axis, optimum(points, quantity), colour, 0.03 + 0.05 * (rank % 4))
    return curve


def _bracket(axis: Axes, at: Optimum, colour: str, height: float) -> None:
    """Draw a bar from neighbour to neighbour of the best temperature, with an arrow where there is no neighbour."""
    ends = [at.best if end is None else end for end in (at.below, at.above)]
    foot = axis.get_xaxis_transform()
    axis.plot(ends, [height] * 2, color=colour, lw=2.5, alpha=0.5, transform=foot, solid_capstyle="butt")
    marker = "<" if at.below is None else ">" if at.above is None else "|"
    axis.plot([at.best], [height], color=colour, marker=marker, ms=5, mew=1.3, ls="none", transform=foot)


def _scale(axis: Axes, quantity: Quantity) -> None:
    """Give the axis room for the brackets at its foot; that of ECE a square-root scale from 0."""
    low, high = axis.get_ylim()
    if quantity is ECE:
        layout.square_root(axis, "y", high, apart=0.13)
    else:
        axis.set_ylim(low - 0.2 * (high - low), high)


def _meanings(rows: Sequence[Row]) -> dict[str, Line2D]:
    """Handles of the marks that all models share, by their labels."""
    meanings = {"T = 1": layout.handle(color=FAINT, lw=0.8, ls=":")}
    if at_fitted(rows):
        meanings["fitted T"] = layout.handle(color=BLACK, marker="o", ms=5, mfc=WHITE, mew=1.3, ls="none")
    meanings["best T measured"] = layout.handle(color=BLACK, lw=2.5, alpha=0.5, marker="|", ms=5, mew=1.3)
    return meanings
