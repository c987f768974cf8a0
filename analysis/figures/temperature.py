"""The paper's Figure 4: BLEU and ECE against temperature, and NLL against temperature."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .. import paper
from ..quantities import BLEU, ECE, NLL, Quantity
from ..rows import Row, mean
from ..study import Entry, Study
from . import layout
from .colours import BLACK, WHITE
from .layout import Drawing, Look


def drawing(study: Study) -> Drawing:
    """A panel of BLEU and ECE for each model that is compared, and one of NLL."""
    return Drawing(
        "temperature",
        "BLEU and calibration against temperature",
        "Figure 4",
        "A panel a model: forced ECE (solid, left scale) and BLEU (dashed, right scale); calibration is best where the "
        "solid curve is lowest. The last panel: NLL of each model. Means over training seeds.",
        f"its curves are only drawn. Base Transformer, dev: BLEU {paper.BLEU[0]} to {paper.BLEU[1]} and perplexity "
        f"{paper.PERPLEXITY[0]} to {paper.PERPLEXITY[1]} with smoothing (Table 1).",
        figure(study.of_main_search),
        study.split,
    )


def by_temperature(rows: Sequence[Row], quantity: Quantity) -> tuple[list[float], list[float]]:
    """Temperatures in order, and the means over runs of a quantity.

    A temperature at which not all runs were measured, as one that was fitted to its run, is left out.
    """
    points: dict[float, list[float]] = {}
    for row in rows:
        value = quantity.of_record(row.record)
        if value is not None:
            points.setdefault(row.record.temperature, []).append(value)
    n_runs = max(map(len, points.values()), default=0)
    temperatures = sorted(t for t, values in points.items() if len(values) == n_runs)
    return temperatures, [mean(points[t]) or 0.0 for t in temperatures]


def figure(study: Study) -> Figure | None:
    """None where no model was measured at several temperatures."""
    entries, split = compared(study), study.split
    forced = [row for entry in entries for row in entry.select(split=split, mode="forced")]
    if len({row.record.temperature for row in forced}) < 2:
        return None
    fig, axes = _axes(len(entries) + 1)
    looks, names = layout.looks(entries, study.by), layout.names(study.entries, study.by)
    scores = []
    for axis, entry in zip(axes, entries, strict=False):
        axis.set(xlabel="temperature", ylabel="forced ECE", title=layout.wrapped(names[entry.label], layout.PANEL))
        scores += _bleu_and_ece(axis, entry, split, looks[entry.label])
    for axis in axes[:-1]:
        axis.set_ylim(bottom=0)
    for panels in (axes[:-1], scores):
        _share_height(panels)
    axes[-1].set(xlabel="temperature", ylabel="NLL (nats a token)", title="likelihood")
    handles = {names[entry.label]: _nll(axes[-1], entry, split, looks[entry.label]) for entry in entries}
    handles["forced ECE (left scale)"] = Line2D([], [], color=BLACK)
    if scores:
        handles["BLEU (right scale)"] = Line2D([], [], color=BLACK, ls="--")
    layout.legend(fig, handles)
    at_one = [row for entry in entries for row in entry.select(split=split, temperature=1.0)]
    layout.sign(fig, [row for row in at_one if row.record.mode in ("forced", "beam")])
    return fig


def _axes(n: int) -> tuple[Figure, list[Axes]]:
    """A figure with so many panels, at most three in a line."""
    lines = math.ceil(n / 3)
    columns = math.ceil(n / lines)
    fig, grid = layout.new(lines, columns, width=layout.PANEL * columns, height=0.5 + 3.2 * lines)
    axes = list(np.ravel(grid))
    for axis in axes[n:]:
        axis.set_axis_off()
    return fig, axes[:n]


def compared(study: Study) -> list[Entry]:
    """The first pair of a model without smoothing and its smoothed one, or else the first models; by run, all runs."""
    if study.by == "run":
        return study.entries
    first = [entry for pair in study.comparisons[:1] for entry in pair if entry is not None]
    return first if len(first) == 2 else study.entries[:2]


def _bleu_and_ece(axis: Axes, entry: Entry, split: str, look: Look) -> list[Axes]:
    """Draw one model; the axis of BLEU, if it was measured."""
    axis.plot(
        *by_temperature(entry.select(split=split, mode="forced"), ECE), color=look.colour, marker=look.marker, ms=3
    )
    temperatures, bleu = by_temperature(entry.select(split=split, mode="beam"), BLEU)
    if not temperatures:
        return []
    right = axis.twinx()
    right.plot(temperatures, bleu, color=look.colour, marker=look.marker, ms=4, mfc=WHITE, ls="--")
    right.set_ylabel("BLEU")
    right.spines["right"].set_visible(True)
    return [right]


def _share_height(axes: Sequence[Axes]) -> None:
    """Give axes one scale, with room for the markers."""
    limits = [limit for axis in axes for limit in axis.get_ylim()]
    if limits:
        margin = 0.04 * (max(limits) - min(limits))
        for axis in axes:
            axis.set_ylim(min(limits) - margin, max(limits) + margin)


def _nll(axis: Axes, entry: Entry, split: str, look: Look) -> Line2D:
    """Draw the NLL of one model; its curve."""
    temperatures, nll = by_temperature(entry.select(split=split, mode="forced"), NLL)
    return axis.plot(temperatures, nll, color=look.colour, marker=look.marker, ms=3)[0]
