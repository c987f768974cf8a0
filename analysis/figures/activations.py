"""Penultimate activations, drawn and in numbers: of classifiers (the paper's Figure 1), of translation (Figure 7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..rows import Row, mean, number, select
from . import style as plots

HEADER = ("model", "split", "within", "between", "own distance", "spread of others", "NC1", "NC2 norms", "NC2 angles")
HOW = (
    "Variances are traces of covariances; the spread of distances to other templates is relative to their mean; NC1 "
    "and NC2 as in Papyan et al. (2020): 0 is collapse. Means over seeds."
)
_NUMBERS = (
    "variance_within",
    "variance_between",
    "distance_to_own",
    "spread_of_others",
    "nc1",
    "nc2_norms",
    "nc2_angles",
)


def geometry(rows: Sequence[Row], mode: str) -> list[list[str]]:
    """A line for each network, alpha and split: means over seeds."""
    lines = []
    for split in ("train", "valid"):
        ours = select(rows, mode=mode, split=split, temperature=1.0, teacher=None)
        for network, alpha in sorted({(str(row.record.network), row.record.alpha or 0.0) for row in ours}):
            found = [row.record.geometry or {} for row in select(ours, network=network, alpha=alpha)]
            values = (number(mean(one.get(name) for one in found), 3) for name in _NUMBERS)
            lines.append([f"{network}, alpha {alpha:g}", split, *values])
    return sorted(lines)


def figure(rows: Sequence[Row], mode: str, seed: int = 1) -> Figure | None:
    """A line of panels for each network and plane that was recorded, with hard targets and smoothed, train and
    validation; the two panels of one model share a scale. None if there is none."""
    rows = select(rows, mode=mode, temperature=1.0, seed=seed, teacher=None)
    lines = [
        (network, names, found[-1])
        for network in sorted({str(row.record.network) for row in rows})
        for names in _planes(select(rows, network=network))
        for alpha in (0.0, 0.1)
        for split in ("train", "valid")
        if (found := select(rows, network=network, split=split, alpha=alpha))
    ]
    n_lines = len(dict.fromkeys((network, names) for network, names, _ in lines))
    if not n_lines or len(lines) != 4 * n_lines:
        return None
    fig, grid = plots.new(n_lines, 4, width=10, height=2.9 * n_lines)
    for line, axes in enumerate(np.reshape(grid, (n_lines, 4))):
        axes[0].set_ylabel(lines[4 * line][0])
        for model in (0, 2):  # its panels on train and valid share a scale
            shown = lines[4 * line + model : 4 * line + model + 2]
            pairs = zip(axes[model : model + 2], shown, strict=True)
            reach = 1.1 * max(_panel(axis, row, names) for axis, (_, names, row) in pairs)
            for axis in axes[model : model + 2]:
                axis.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    plots.sign(fig, [row.record.signature for _, _, row in lines])
    return fig


def _planes(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    found = [tuple(names) for row in rows for names in (row.record.geometry or {}).get("planes", [])]
    return list(dict.fromkeys(found))


def _panel(axis: Any, row: Row, names: tuple[str, ...]) -> float:
    """Draw one model on one split; how far its points reach."""
    axis.set_title(f"α = {row.record.alpha:g}, {row.record.split}")
    place = [tuple(known) for known in (row.record.geometry or {})["planes"]].index(names)
    points, rank = row.array(f"plane_{place}"), row.array(f"plane_{place}_class")
    if points is None or rank is None:
        return 1.0
    for c, (name, marker) in enumerate(zip(names, "so^", strict=True)):
        colour = (plots.RED, plots.BLUE, plots.GREEN)[c]
        axis.scatter(
            *points[rank == c].T, s=7, color=colour, marker=marker, alpha=0.6, linewidths=0, label=name.lstrip("▁")
        )
    axis.legend(frameon=False, fontsize=7, markerscale=1.5)
    return float(np.abs(points).max())
