"""The paper's Figures 5 and 6: what teachers and students can do against smoothing, and information during training."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from mt_ls.vision import mutual_information

from ..rows import Row, mean, select
from . import style as plots

Points = dict[float, list[float]]
"""Accuracies of several seeds by smoothing."""

HARD = "students of the hard teacher, T rising"
AT_ONE = "students at T = 1, α of the teacher rising"
AT_BEST = "students of smoothed teachers at the best other T"


def curves(rows: Sequence[Row]) -> dict[str, Points]:
    """Figure 5's curves on test: accuracy of teachers and of untaught students over alpha, and of taught students over
    the gamma of their teacher: of the hard one at several temperatures, of each teacher at T = 1; beyond the paper, of
    each smoothed one at the temperature, other than 1, whose students are best on valid. Students are the network that
    was taught. Empty where no network was taught by probabilities."""
    rows = select(rows, mode="images", temperature=1.0)
    taught = [row for row in rows if row.record.teacher and row.record.teacher["gamma"] is not None]
    found: dict[str, Points] = defaultdict(lambda: defaultdict(list))
    for (alpha, temperature), runs in _by_teacher(select(taught, split="test")).items():
        gamma = float(np.mean([(row.record.teacher or {})["gamma"] for row in runs]))
        best = alpha > 0 and temperature == _best_temperature(taught, alpha)
        belongs = {HARD: alpha == 0, AT_ONE: temperature == 1, AT_BEST: best}
        for name in (name for name, so in belongs.items() if so):
            found[name][gamma] += [row.record.accuracy or 0.0 for row in runs]
    teachers = {(row.record.teacher or {})["network"] for row in taught}
    students = {row.record.network for row in taught}
    for row in select(rows, split="test", teacher=None):
        for name, networks in (("teachers", teachers), ("students alone", students)):
            if row.record.network in networks and row.record.alpha is not None:
                found[name][row.record.alpha].append(row.record.accuracy or 0.0)
    return {name: dict(points) for name, points in found.items()}


def _by_teacher(taught: Sequence[Row]) -> dict[tuple[float, float], list[Row]]:
    """The rows by smoothing and temperature of the teacher."""
    found: dict[tuple[float, float], list[Row]] = defaultdict(list)
    for row in taught:
        teacher = row.record.teacher or {}
        found[teacher["alpha"], teacher["temperature"]].append(row)
    return found


def _best_temperature(taught: Sequence[Row], alpha: float) -> float | None:
    """The temperature other than 1 of the teacher with this smoothing whose students are best on valid."""
    means = {
        temperature: mean(row.record.accuracy for row in runs) or 0.0
        for (of, temperature), runs in _by_teacher(select(taught, split="valid")).items()
        if of == alpha and temperature != 1
    }
    return max(means, key=lambda temperature: means[temperature], default=None)


def teaching(rows: Sequence[Row]) -> Figure | None:
    """Figure 5; None where no network was taught."""
    found = curves(rows)
    if not found:
        return None
    fig, (axis,) = plots.new(1, 1, width=5.4, height=3.8)
    looks = {
        "teachers": (plots.BLUE, "^", "-"),
        "students alone": (plots.GREEN, "D", "-"),
        HARD: (plots.RED, "s", "--"),
        AT_ONE: (plots.BLUE, "o", "--"),
        AT_BEST: (plots.BLUE, "v", ":"),
    }
    for name, (colour, marker, style) in looks.items():
        points = sorted(found.get(name, {}).items())
        if points:
            x = [smoothing for smoothing, _ in points]
            low, middle, high = (np.array([of(values) for _, values in points]) for of in (min, np.mean, max))
            axis.errorbar(
                x, middle, (middle - low, high - middle), color=colour, marker=marker, ls=style, ms=4, lw=1, label=name
            )
    axis.set(xlabel="smoothing of the targets: α, or γ of the teacher", ylabel="accuracy (test)")
    axis.legend(frameon=False, fontsize=7)
    plots.sign(fig, [row.record.signature for row in select(rows, mode="images", split="test", temperature=1.0)])
    return fig


def information(rows: Sequence[Row]) -> Figure | None:
    """Figure 6; None where it was not recorded."""
    rows = select(rows, mode="information")
    if not rows:
        return None
    fig, (axis,) = plots.new(1, 1, width=5.4, height=3.6)
    for alpha in sorted({row.record.alpha or 0.0 for row in rows}):
        for i, points in enumerate(mutual_information.curves(rows, alpha).values()):
            axis.plot(
                *zip(*points, strict=True),
                color=plots.colour(alpha),
                marker=plots.marker(alpha),
                ms=2,
                lw=0.8,
                label=None if i else f"α = {alpha:g}",
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
    plots.sign(fig, [row.record.signature for row in rows])
    return fig
