"""The paper's Figure 6: mutual information of input and logits during training."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from ..rows import select
from ..study import Study
from . import layout
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
    fig, (axis,) = layout.new(1, 1, width=5.4, height=3.6)
    entries = [entry for entry in study.entries if entry.select(mode="information")]
    looks, names = layout.looks(entries, study.by), layout.names(entries, study.by)
    for entry in entries:
        look, label = looks[entry.label], names[entry.label]
        for i, points in enumerate(entry.information.values()):
            axis.plot(
                *zip(*points, strict=True),
                color=look.colour,
                marker=look.marker,
                ms=2,
                lw=0.8,
                label=None if i else label,
            )
    axis.axhline(np.log(2), color="0.6", ls=":", lw=1)
    axis.annotate(
        "log 2",
        (1, np.log(2)),
        xycoords=axis.get_yaxis_transform(),
        xytext=(-2, 2),
        textcoords="offset points",
        ha="right",
        fontsize=7,
    )
    axis.set(xlabel="updates", ylabel="mutual information, nats")
    axis.legend(frameon=False)
    layout.sign(fig, rows)
    return fig
