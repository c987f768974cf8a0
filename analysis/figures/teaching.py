"""The paper's Figure 5: accuracy of teachers and of students against smoothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import msgspec
import numpy as np
from matplotlib.figure import Figure

from .. import paper
from ..quantities import ACCURACY
from ..rows import mean
from ..study import Entry, Study
from . import layout
from .colours import BLUE, GREEN, RED
from .layout import Drawing

Points = dict[float, list[float]]
"""Accuracies of several seeds by smoothing."""

TEACHERS, ALONE = "teachers", "students alone"
HARD = "students of the hard teacher, T rising"
AT_ONE = "students at T = 1, α of the teacher rising"
AT_BEST = "students of smoothed teachers at the best other T"
_LOOKS = {
    TEACHERS: (BLUE, "^", "-"),
    ALONE: (GREEN, "D", "-"),
    HARD: (RED, "s", "--"),
    AT_ONE: (BLUE, "o", "--"),
    AT_BEST: (BLUE, "v", ":"),
}


def drawing(study: Study) -> Drawing:
    """Five curves."""
    return Drawing(
        "teaching",
        "Teachers and students",
        "Figure 5",
        "Points are means over seeds, bars from the least to the greatest. If smoothing took from a teacher what a "
        f"student needs, the curve of “{AT_ONE}” lies below that of “{HARD}”.",
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
    curves: dict[str, Points] = defaultdict(lambda: defaultdict(list))
    for (alpha, temperature), entry in by_teacher.items():
        rows = entry.select(mode="images", split=study.split, temperature=1.0)
        gamma = mean(row.record.teacher_run.gamma if row.record.teacher_run else None for row in rows)
        if gamma is None:
            continue
        best = alpha > 0 and temperature == _best_temperature(by_teacher, alpha)
        for name, belongs in ((HARD, alpha == 0), (AT_ONE, temperature == 1), (AT_BEST, best)):
            if belongs:
                curves[name][gamma] += [row.record.accuracy or 0.0 for row in rows]
    teachers = {entry.model.teacher.architecture for entry in taught if entry.model.teacher}
    students = {entry.model.architecture for entry in taught}
    for entry in study.untaught:
        for name, networks in ((TEACHERS, teachers), (ALONE, students)):
            rows = entry.select(mode="images", split=study.split, temperature=1.0)
            if entry.model.architecture in networks and entry.is_plain and entry.amount is not None and rows:
                curves[name][entry.amount] += [row.record.accuracy or 0.0 for row in rows]
    return {name: dict(points) for name, points in curves.items()} if taught else {}


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


def _best_temperature(by_teacher: Mapping[tuple[float, float], Entry], alpha: float) -> float | None:
    """The temperature other than 1 of the teacher with this smoothing whose students are best on valid."""
    means = {
        temperature: ACCURACY.mean(entry.select(mode="images", split="valid", temperature=1.0)) or 0.0
        for (of, temperature), entry in by_teacher.items()
        if of == alpha and temperature != 1
    }
    return max(means, key=lambda temperature: means[temperature], default=None)


def figure(study: Study) -> Figure | None:
    """None where no network was taught."""
    curves = accuracies(study)
    if not curves:
        return None
    fig, (axis,) = layout.new(1, 1, width=4.1, height=3.2)
    handles = {}
    for name, (colour, marker, style) in _LOOKS.items():
        points = sorted(curves.get(name, {}).items())
        if points:
            x = [smoothing for smoothing, _ in points]
            low, middle, high = (np.array([of(values) for _, values in points]) for of in (min, np.mean, max))
            bars = middle - low, high - middle
            handles[name] = axis.errorbar(x, middle, bars, color=colour, marker=marker, ls=style, ms=4, lw=1)
    layout.legend(fig, handles)
    axis.set(xlabel="smoothing of the targets: α, or γ of the teacher", ylabel=f"accuracy ({study.split})")
    at_one = [row for entry in study.entries for row in entry.select(mode="images", split=study.split, temperature=1.0)]
    layout.sign(fig, at_one)
    return fig
