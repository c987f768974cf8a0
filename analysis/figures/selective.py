"""The risk of what is kept against how much is kept: sentences by their mean log-probability, tokens by theirs."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from ..rows import Row
from ..selective import curve, thresholds
from ..study import Study
from . import layout
from .layout import Drawing
from .signatures import Signed

_GRID = np.linspace(0.02, 1, 99)
"""The coverages at which curves of several runs are averaged."""


def drawing(study: Study) -> Drawing:
    """A curve for each model at T = 1, the mean over training seeds."""
    kept = (
        "images by the probability of their class"
        if study.is_of_images
        else (
            "left, sentences by the mean log-probability of their tokens; right, generated tokens by their "
            "probability, a point a threshold"
        )
    )
    return Drawing(
        "selective",
        "What is kept, and its risk",
        "",
        f"Kept are the surest, {kept}. A curve that falls faster to the left is a better selection. Means over "
        "training seeds at T = 1.",
        "no such figure. Xia et al. (2025) find for images that smoothing makes the selection worse.",
        figure(study.of_main_search),
        study.split,
    )


def figure(study: Study) -> Signed | None:
    """None where no model has scores of its items."""
    mode = "images" if study.is_of_images else "beam"
    of_model = {
        entry.label: [row for row in entry.select(mode=mode, split=study.split, temperature=1.0) if curve(row)]
        for entry in study.entries
    }
    shown = [entry for entry in study.entries if of_model[entry.label]]
    if not shown:
        return None
    looks, names = layout.looks(shown, study.by), layout.names(shown, study.by)
    fig, axes = layout.new(1, 1 if study.is_of_images else 2, width=layout.width_of(2), height=3.0)
    for entry in shown:
        rows, colour = of_model[entry.label], looks[entry.label].colour
        axes[0].plot(_GRID, _mean_curve(rows), color=colour, lw=1.3)
        if not study.is_of_images:
            _draw_tokens(axes[1], rows, colour)
    axes[0].set_ylabel("share of wrong images" if study.is_of_images else "mean of 1 - chrF")
    axes[0].set_xlabel("share of images kept" if study.is_of_images else "share of sentences kept")
    if not study.is_of_images:
        axes[1].set_ylabel("share of wrong tokens")
        axes[1].set_xlabel("share of tokens kept")
    for axis in axes:
        axis.set_xlim(0, 1)
        axis.set_ylim(bottom=0)
    layout.legend(fig, {names[e.label]: layout.handle(color=looks[e.label].colour, lw=1.3) for e in shown})
    layout.sign(fig, [row for entry in shown for row in of_model[entry.label]], of_bins=not study.is_of_images)
    return fig


def _mean_curve(rows: list[Row]) -> np.ndarray:
    """The mean risk over rows at each coverage of `_GRID`."""
    curves = [drawn for row in rows if (drawn := curve(row)) is not None]
    return np.mean([np.interp(_GRID, coverage, risk) for coverage, risk in curves], axis=0)


def _draw_tokens(axis: Axes, rows: list[Row], colour: str) -> None:
    kept = thresholds(sum((row.record.bins for row in rows[1:]), rows[0].record.bins))
    axis.plot([k.share for k in kept], [1 - k.accuracy for k in kept], color=colour, lw=1.3, marker=".", ms=4)
