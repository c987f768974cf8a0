"""The paper's Figure 3: reliability of next-token predictions, with counts and intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from . import plots
from .table import Row, at_fitted, mean, number, pooled, select


def wilson(hits: np.ndarray, count: np.ndarray, z: float = 1.96) -> tuple[np.ndarray, np.ndarray]:
    """95 % interval of a share (Wilson 1927): (low, high) of the shape of ``hits`` (a number, too). Tokens count as
    independent, so it is a lower bound on the width."""
    share = hits / count
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    return np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)


def figure(rows: Sequence[Row], split: str = "test", mode: str = "forced") -> Figure | None:
    """A diagram each for alpha 0, alpha 0 at its fitted temperature, and alpha 0.1; None if none was measured. Bins of
    several training seeds are pooled; the numbers are their means."""
    ours = select(rows, split=split, mode=mode)
    hard, smooth = select(ours, alpha=0.0), select(ours, alpha=0.1, temperature=1.0)
    panels = [("hard targets", select(hard, temperature=1.0)), ("hard + temperature", at_fitted(hard)),
              ("label smoothing 0.1", smooth)]  # fmt: skip
    panels = [(title, chosen) for title, chosen in panels if chosen]
    if not panels:
        return None
    fig, grid = plots.new(2, len(panels), width=3.6 * len(panels), height=4.6, height_ratios=(3, 1), sharex=True)
    for column, (title, chosen) in enumerate(panels):
        record = chosen[0].record
        bins = pooled(chosen)
        ece, temperature = (mean(values) for values in zip(*((row.record.bins.ece(), row.record.temperature)
                                                             for row in chosen), strict=True))  # fmt: skip
        confidence, accuracy, count = bins.curve()
        low, high = wilson(accuracy * count, count)
        top, bottom = grid[0][column], grid[1][column]
        top.plot([0, 1], [0, 1], color="0.7", lw=1, ls="--")
        top.errorbar(confidence, accuracy, (np.maximum(accuracy - low, 0), np.maximum(high - accuracy, 0)),
                     color=plots.colour(record.alpha), marker=plots.marker(record.alpha), ms=3.5, lw=1)  # fmt: skip
        top.set(title=f"{title}\nT = {number(temperature, 2)}, ECE {number(ece, 3)}", ylim=(0, 1), xlim=(0, 1))
        bottom.bar(bins.edges[:-1], bins.count, np.diff(bins.edges), align="edge", color="0.75", ec="white")
        bottom.set(xlabel="confidence")
        bottom.ticklabel_format(axis="y", style="sci", scilimits=(0, 3))
        if column == 0:
            top.set_ylabel("accuracy")
            bottom.set_ylabel("tokens")
    plots.sign(fig, [row.record.signature for _, chosen in panels for row in chosen])
    return fig
