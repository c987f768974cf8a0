"""BLEU, NLL, forced ECE and the fitted temperature against the number of training pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from .. import paper
from ..quantities import BLEU, ECE, FITTED_TEMPERATURE, NLL, Quantity
from ..rows import Row, select
from ..study import Entry, Study
from . import layout, spread
from .colours import BLACK, FAINT
from .layout import Drawing, Look
from .signatures import Signed


class Panel(NamedTuple):
    """A quantity, the mode that measures it, the label of its axis, and the paper's values without and with smoothing
    (None where it has none)."""

    quantity: Quantity
    mode: str
    label: str
    of_paper: Sequence[float | None]


_PANELS = (
    Panel(BLEU, "beam", "BLEU", paper.BLEU),
    Panel(NLL, "forced", "NLL (nats a token)", [math.log(perplexity) for perplexity in paper.PERPLEXITY]),
    Panel(ECE, "forced", "forced ECE", paper.FORCED_ECE),
    Panel(FITTED_TEMPERATURE, "forced", "fitted temperature", (paper.FITTED_TEMPERATURE, None)),
)


def drawing(study: Study) -> Drawing:
    """Four panels with the models of the most sizes, without smoothing and with 0.1."""
    return Drawing(
        "sizes",
        "When smoothing helps: training pairs",
        "",
        f"Means over training seeds at T = 1; bands: {spread.CAPTION}. The models differ in their data and smoothing "
        "alone.",
        f"one size. Its base Transformer on {paper.TRAINING_PAIRS / 1e6:g} million pairs is drawn beside ours, as "
        "stars: BLEU and NLL on another test set and with another vocabulary, so that only the order of its two stars "
        "can be compared.",
        figure(study.of_main_search),
        study.split,
    )


def figure(study: Study) -> Signed | None:
    """None where the models have fewer than two sizes."""
    if len(study.by_size) < 2:
        return None
    models = {
        amount: {size: pair[place] for size, pair in study.by_size.items()} for place, amount in enumerate((0.0, 0.1))
    }
    fig, axes = layout.new(2, 2, width=layout.width_of(2), height=4.4, sharex=True)
    rows = []
    for axis, panel in zip(axes.flat, _PANELS, strict=True):
        for amount, of_paper in zip(models, panel.of_paper, strict=True):
            look = layout.LOOKS[amount]
            drawn = _draw(axis, panel, models[amount], study.split, look)
            rows += drawn
            if of_paper is not None:
                axis.plot([paper.TRAINING_PAIRS], [of_paper], color=look.colour, marker="*", ms=8, ls="none")
        axis.set_ylabel(panel.label)
        _scale(axis, [*models[0.0], paper.TRAINING_PAIRS])
    axes[1, 1].axhline(1, color=FAINT, lw=0.8, ls=":")
    for axis in axes[1]:
        axis.set_xlabel("training pairs (log scale)")
    layout.legend(fig, _handles(models, rows))
    layout.sign(fig, rows)
    return fig


def _draw(axis: Axes, panel: Panel, models: Mapping[int, Entry], split: str, look: Look) -> list[Row]:
    """Draw the curve of one smoothing over the sizes, and return its rows."""
    rows = {size: select(models[size].rows, split=split, mode=panel.mode, temperature=1.0) for size in sorted(models)}
    points = {size: point for size in rows if (point := spread.over_seeds(panel.quantity, rows[size])) is not None}
    if points:
        values, low, high = zip(*points.values(), strict=True)
        axis.fill_between([*points], low, high, color=look.colour, alpha=0.2, lw=0)
        axis.plot([*points], values, color=look.colour, marker=look.marker, ms=4, lw=1.2)
    return [row for size in points for row in rows[size]]


def _scale(axis: Axes, sizes: Sequence[int]) -> None:
    """A logarithmic axis with a tick at each power of ten, since names of the sizes would overlap."""
    axis.set_xscale("log")
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda size, _: _short(size)))
    axis.set_xlim(min(sizes) / 1.5, max(sizes) * 1.5)


def _short(size: float) -> str:
    return f"{size / 1e6:g}M" if size >= 1e6 else f"{round(size / 1e3)}k" if size >= 1e3 else f"{size:g}"


def _handles(models: Mapping[float, object], rows: Sequence[Row]) -> dict[str, object]:
    marks = {
        f"α = {amount:g}": layout.handle(color=look.colour, marker=look.marker, ms=4, lw=1.2)
        for amount, look in ((amount, layout.LOOKS[amount]) for amount in models)
    }
    star = layout.handle(color=BLACK, marker="*", ms=7, ls="none")
    return {**marks, f"the paper, {_short(paper.TRAINING_PAIRS)} pairs": star, **spread.band(rows)}
