"""The paper's Figure 5: accuracy of teachers and of students against smoothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from .. import paper
from ..quantities import ACCURACY
from ..rows import Row, mean, n_seeds
from ..study import Entry, Study
from . import layout, spread
from .colours import BLACK, GREY, WHITE
from .layout import Drawing
from .signatures import Signed


class Group(NamedTuple):
    """The accuracies of the seeds at one point of a curve, and the α of the network, or of its teacher."""

    amount: float
    accuracies: list[float]


Points = dict[float, Group]
"""A curve by smoothing of the targets."""

TEACHERS, ALONE = "teachers", "students alone"
HARD = "T rising, α = 0"
AT_ONE = "α rising, T = 1"
AT_BEST = "best T but 1"
_LOOKS = {
    TEACHERS: ("^", "-"),
    ALONE: ("D", "-"),
    HARD: ("s", "--"),
    AT_ONE: ("o", "-"),
    AT_BEST: ("v", ":"),
}
"""The marker and the line of each curve."""
_PANELS = {"teachers": (TEACHERS,), "students": (ALONE, HARD, AT_ONE, AT_BEST)}
"""The curves of each panel, by who is on it: teachers are too far above students to share a scale with them."""


def drawing(study: Study) -> Drawing:
    """A panel of teachers above one of students."""
    return Drawing(
        "teaching",
        "Teachers and students",
        "Figure 5",
        "Teachers and students have scales of their own. Students learn from labels alone, from the teacher of α = 0 "
        "at rising T, from teachers of rising α at T = 1, or from these at the T other than 1 that is best on valid. "
        "Points are means over seeds, bars from the least to the greatest; a colour is the α of the network, or of its "
        "teacher. "
        f"If smoothing took from a teacher what a student needs, “{AT_ONE}” lies below “{HARD}”.",
        f"smoothed teachers are more accurate up to α = {paper.GREATEST_USEFUL_ALPHA}, their students no better than "
        "students alone.",
        figure(study),
        study.split,
    )


def accuracies(study: Study) -> dict[str, Points]:
    """Figure 5's curves on test: of teachers and of untaught students over alpha, of taught students over the gamma of
    their teacher (of the hard one at several temperatures, of each teacher at T = 1).

    Beyond the paper, students of each smoothed teacher at the temperature, other than 1, whose students are best on
    valid. Students are the network that was taught. Empty where no network was taught by probabilities, or where
    students differ in more than the smoothing and the temperature of their teacher.
    """
    taught = [entry for entry in study.entries if _is_taught(entry)]
    by_teacher = _by_teacher(taught)
    learners = {msgspec.structs.replace(entry.model, teacher=None) for entry in taught}
    if len(learners) > 1 or len(by_teacher) < len(taught):
        return {}
    curves: dict[str, Points] = defaultdict(dict)
    for (alpha, temperature), entry in by_teacher.items():
        rows = entry.select(mode="images", split=study.split, temperature=1.0)
        gamma = mean(row.record.teacher_run.gamma if row.record.teacher_run else None for row in rows)
        if gamma is None:
            continue
        best = alpha > 0 and temperature == _best_temperature(by_teacher, alpha, study.chosen_on)
        for name, belongs in ((HARD, alpha == 0), (AT_ONE, temperature == 1), (AT_BEST, best)):
            if belongs:
                _add(curves[name], gamma, alpha, rows)
    teachers = {entry.model.teacher.architecture for entry in taught if entry.model.teacher}
    students = {entry.model.architecture for entry in taught}
    for entry in study.untaught:
        for name, networks in ((TEACHERS, teachers), (ALONE, students)):
            rows = entry.select(mode="images", split=study.split, temperature=1.0)
            if entry.model.architecture in networks and entry.is_plain and entry.amount is not None and rows:
                _add(curves[name], entry.amount, entry.amount, rows)
    return dict(curves) if taught else {}


def _add(points: Points, smoothing: float, amount: float, rows: Iterable[Row]) -> None:
    """Add the accuracies of rows to those at this smoothing."""
    points.setdefault(smoothing, Group(amount, [])).accuracies.extend(row.record.accuracy or 0.0 for row in rows)


def _is_taught(entry: Entry) -> bool:
    """Whether a network with the paper's smoothing, or none, taught this one by probabilities."""
    teacher = entry.model.teacher
    return teacher is not None and teacher.temperature is not None and teacher.smoothing.is_of_paper


def _by_teacher(taught: Iterable[Entry]) -> dict[tuple[float, float], Entry]:
    """The entries by smoothing and temperature of the teacher; the last one of those that share them."""
    found: dict[tuple[float, float], Entry] = {}
    for entry in taught:
        teacher = entry.model.teacher
        if teacher is not None and teacher.temperature is not None:
            found[teacher.smoothing.amount, teacher.temperature] = entry
    return found


def _best_temperature(by_teacher: Mapping[tuple[float, float], Entry], alpha: float, split: str) -> float | None:
    """The temperature other than 1 of the teacher with this smoothing whose students are best on a split."""
    means = {
        temperature: ACCURACY.mean(entry.select(mode="images", split=split, temperature=1.0)) or 0.0
        for (of, temperature), entry in by_teacher.items()
        if of == alpha and temperature != 1
    }
    return max(means, key=lambda temperature: means[temperature], default=None)


def figure(study: Study) -> Signed | None:
    """None where no network was taught."""
    curves = accuracies(study)
    if not curves:
        return None
    panels = {who: names for who, names in _PANELS.items() if any(name in curves for name in names)}
    heights = [2 + len(names) for names in panels.values()]
    fig, axes = layout.new(
        len(panels), 1, width=layout.COLUMN, height=0.4 * sum(heights) + 0.5, sharex=True, height_ratios=heights
    )
    for axis, (who, names) in zip(np.ravel(axes), panels.items(), strict=True):
        for name in names:
            _draw(axis, name, curves.get(name, {}))
        axis.set_ylabel(f"accuracy of\n{who} ({study.split})")
    np.ravel(axes)[-1].set_xlabel("smoothing of the targets: α of labels,\nγ of a teacher's probabilities")
    at_one = [row for entry in study.entries for row in entry.select(mode="images", split=study.split, temperature=1.0)]
    handles = {name: _handle(name) for name in _LOOKS if name in curves} | _amounts(curves)
    layout.legend(fig, handles | (spread.bar(at_one) if n_seeds(at_one) > 1 else {}))
    layout.sign(fig, at_one, of_bins=False)
    return fig


def _draw(axis: Axes, name: str, points: Points) -> None:
    """Draw the means over seeds of one curve, with bars from the least to the greatest."""
    marker, style = _LOOKS[name]
    means = {x: float(np.mean(group.accuracies)) for x, group in sorted(points.items())}
    axis.plot([*means], [*means.values()], color=GREY, ls=style, lw=1, zorder=1)
    for x, (amount, values) in points.items():
        bars = [[means[x] - min(values)], [max(values) - means[x]]]
        looks: dict[str, Any] = {"color": _colour(amount), "marker": marker, "ms": 5, "mec": WHITE, "mew": 0.5}
        axis.errorbar([x], [means[x]], bars, elinewidth=1, capsize=2, **looks)


def _colour(amount: float) -> str:
    return layout.LOOKS[amount].colour if amount in layout.LOOKS else BLACK


def _handle(name: str) -> Line2D:
    marker, style = _LOOKS[name]
    return layout.handle(color=GREY, ls=style, lw=1, marker=marker, ms=4, mfc=BLACK, mec=BLACK)


def _amounts(curves: Mapping[str, Points]) -> dict[str, Any]:
    """The colours of the amounts of smoothing, by their labels."""
    amounts = sorted({group.amount for points in curves.values() for group in points.values()})
    style: dict[str, Any] = {"marker": "o", "ms": 4, "ls": "none"}
    return {f"α = {amount:g}": layout.handle(color=_colour(amount), **style) for amount in amounts}
