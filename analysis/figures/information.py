"""The paper's Figure 6: mutual information of input and logits during training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy import stats

from ..rows import select
from ..study import Study
from . import layout
from .colours import BLACK, FAINT
from .layout import Drawing, Look
from .signatures import Signed


def drawing(study: Study) -> Drawing:
    """A thin curve a run, and the mean of each model with its band."""
    return Drawing(
        "information",
        "Mutual information of input and logits",
        "Figure 6",
        "How much the difference of two logits tells about which training image it came from, after each epoch. log 2 "
        "is the class alone. Thin lines are seeds, the thick one is their mean, its band one standard error.",
        "it rises, then falls slowly, more with smoothing, to slightly above log 2.",
        figure(study),
    )


def figure(study: Study) -> Signed | None:
    """None where it was not recorded."""
    rows = select(study.rows, mode="information")
    if not rows:
        return None
    fig, (axis,) = layout.new(1, 1, width=layout.COLUMN, height=2.6)
    entries = [entry for entry in study.entries if entry.select(mode="information")]
    looks, names = layout.looks(entries, study.by), layout.names(entries, study.by)
    handles: dict[str, Any] = {
        names[entry.label]: _draw(axis, [*entry.information.values()], looks[entry.label]) for entry in entries
    }
    handles["log 2"] = axis.axhline(np.log(2), color=FAINT, ls=":", lw=1)
    if any(len(entry.information) > 1 for entry in entries):
        handles["standard error"] = Patch(facecolor=BLACK, alpha=0.2, lw=0)
    layout.legend(fig, handles)
    axis.set(xlabel="updates of the training", ylabel="mutual information (nats)", xlim=(0, None))
    layout.sign(fig, rows, of_bins=False)
    return fig


def _draw(axis: Axes, curves: Sequence[Sequence[tuple[int, float]]], look: Look) -> Line2D:
    """Draw the curves (update, nats) of the seeds of one model; the curve of their mean, where all were measured."""
    if len(curves) > 1:
        for curve in curves:
            axis.plot(*zip(*curve, strict=True), color=look.colour, lw=0.5, alpha=0.6)
    values = [dict(curve) for curve in curves]
    updates = [update for update in values[0] if all(update in of_seed for of_seed in values)]
    nats = np.array([[of_seed[update] for update in updates] for of_seed in values])
    mean = nats.mean(axis=0)
    if len(curves) > 1:
        error = stats.sem(nats, axis=0)
        axis.fill_between(updates, mean - error, mean + error, color=look.colour, alpha=0.2, lw=0)
    return axis.plot(updates, mean, color=look.colour, marker=look.marker, ms=3, lw=1.2)[0]
