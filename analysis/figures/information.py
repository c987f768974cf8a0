"""The paper's Figure 6: mutual information of input and logits during training."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from ..rows import select
from ..study import Study
from . import layout
from .colours import FAINT
from .layout import Drawing


def drawing(study: Study) -> Drawing:
    """A curve a run."""
    return Drawing(
        "information",
        "Mutual information of input and logits",
        "Figure 6",
        "How much the difference of two logits tells about which training image it came from, after each epoch. log 2 "
        "is the class alone.",
        "it rises, then falls slowly, more with smoothing, to slightly above log 2.",
        figure(study),
    )


def figure(study: Study) -> Figure | None:
    """None where it was not recorded."""
    rows = select(study.rows, mode="information")
    if not rows:
        return None
    fig, (axis,) = layout.new(1, 1, width=4.1, height=3.2)
    entries = [entry for entry in study.entries if entry.select(mode="information")]
    looks, names = layout.looks(entries, study.by), layout.names(entries, study.by)
    handles = {}
    for entry in entries:
        look = looks[entry.label]
        for points in entry.information.values():
            curve = zip(*points, strict=True)
            (handles[names[entry.label]],) = axis.plot(*curve, color=look.colour, marker=look.marker, ms=2, lw=0.8)
    handles["log 2"] = axis.axhline(np.log(2), color=FAINT, ls=":", lw=1)
    layout.legend(fig, handles)
    axis.set(xlabel="updates", ylabel="mutual information, nats")
    layout.sign(fig, rows)
    return fig
