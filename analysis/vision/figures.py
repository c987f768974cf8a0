"""The paper's Figures 5 and 6: what teachers and students can do against smoothing, and information during training."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from .. import plots
from ..table import Row, select
from . import mutual_information

Points = dict[float, list[float]]
"""Accuracies of several seeds by smoothing."""


def curves(rows: Sequence[Row], split: str = "test") -> dict[str, Points]:
    """Figure 5's four curves: accuracy of teachers and of untaught students over alpha, and of taught students over the
    gamma of their teacher: of the hard one at several temperatures, of smoothed ones at T = 1. Students are the network
    that was taught. Empty where no network was taught by probabilities."""
    rows = select(rows, mode="images", split=split, temperature=1.0)
    taught = [row for row in rows if row.record.teacher and row.record.teacher["gamma"] is not None]
    found: dict[str, Points] = defaultdict(lambda: defaultdict(list))
    for row in taught:
        teacher = row.record.teacher or {}
        name = "students of the hard teacher, T rising" if teacher["alpha"] == 0 else "students of smoothed teachers"
        found[name][round(teacher["gamma"], 3)].append(row.record.accuracy or 0.0)
    teachers = {(row.record.teacher or {})["network"] for row in taught}
    students = {row.record.network for row in taught}
    for row in rows:
        record = row.record
        if record.teacher is None and record.alpha is not None:
            for name, networks in (("teachers", teachers), ("students alone", students)):
                if record.network in networks:
                    found[name][record.alpha].append(record.accuracy or 0.0)
    return {name: dict(points) for name, points in found.items()}


def teaching(rows: Sequence[Row]) -> Figure | None:
    """Figure 5; None where no network was taught."""
    found = curves(rows)
    if not found:
        return None
    fig, (axis,) = plots.new(1, 1, width=5.4, height=3.8)
    looks = {"teachers": (plots.BLUE, "^", "-"), "students alone": (plots.GREEN, "D", "-"),
             "students of the hard teacher, T rising": (plots.RED, "s", "--"),
             "students of smoothed teachers": (plots.BLUE, "o", "--")}  # fmt: skip
    for name, (colour, marker, style) in looks.items():
        points = sorted(found.get(name, {}).items())
        if points:
            x = [smoothing for smoothing, _ in points]
            low, mean, high = (np.array([of(values) for _, values in points]) for of in (min, np.mean, max))
            axis.errorbar(x, mean, (mean - low, high - mean), color=colour, marker=marker, ls=style, ms=4, lw=1,
                          label=name)  # fmt: skip
    axis.set(xlabel="smoothing of the targets: α, or γ of the teacher", ylabel="accuracy (test)")
    axis.legend(frameon=False, fontsize=7)
    return fig


def information(rows: Sequence[Row]) -> Figure | None:
    """Figure 6; None where it was not recorded."""
    rows = select(rows, mode="information")
    if not rows:
        return None
    fig, (axis,) = plots.new(1, 1, width=5.4, height=3.6)
    for alpha in sorted({row.record.alpha or 0.0 for row in rows}):
        for i, points in enumerate(mutual_information.curves(rows, alpha).values()):
            axis.plot(*zip(*points, strict=True), color=plots.colour(alpha), marker=plots.marker(alpha), ms=2, lw=0.8,
                      label=None if i else f"α = {alpha:g}")  # fmt: skip
    axis.axhline(np.log(2), color="0.6", ls=":", lw=1)
    axis.annotate("log 2", (0, np.log(2)), xytext=(2, 2), textcoords="offset points", fontsize=7)
    axis.set(xlabel="updates", ylabel="mutual information, nats")
    axis.legend(frameon=False)
    return fig
