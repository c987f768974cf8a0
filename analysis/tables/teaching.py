"""Teachers and students: what each network learnt from, and its test error (the paper's section 4)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .. import paper
from ..labels import alpha_label, sight_label
from ..quantities import number
from ..rows import Row, mean, n_seeds
from ..study import Entry, Study
from .accuracy import over_seeds
from .layout import Table

HEADER = ("network", "learns from", "beta", "at T", "gamma", "test error, %", "95 % over seeds", "seeds", "paper, %")


def table(study: Study) -> Table:
    """A line for each network and what it learnt from: labels first, then each teacher at each temperature.

    No line where no network was taught.
    """
    lines = [
        (_order(entry), _line(entry, rows))
        for entry in study.entries
        if (rows := entry.select(mode="images", split=study.split, temperature=1.0))
    ]
    taught = any(entry.model.teacher for entry in study.entries)
    return Table(
        "teaching",
        "Teachers and students (section 4)",
        "Beta is the teacher's part of the loss. Logits: half the mean squared error of the logits.",
        HEADER,
        [line for _, line in sorted(lines)] if taught else [],
        whole=False,
        split=study.split,
    )


def _line(entry: Entry, rows: Sequence[Row]) -> list[str]:
    teacher = entry.model.teacher
    value, interval = over_seeds([1 - (row.record.accuracy or 0.0) for row in rows])
    gamma = mean(row.record.teacher_run.gamma if row.record.teacher_run else None for row in rows)
    known = str(entry.model.architecture), _source(entry)
    at_logits = teacher is None or teacher.temperature is None
    error = paper.MNIST_ERRORS.get(known, "") if entry.model.corpus.startswith("mnist") and at_logits else ""
    return [
        *known,
        f"{teacher.beta:g}" if teacher else "",
        _temperature(entry) if teacher else "",
        number(gamma, 3),
        value,
        interval,
        str(n_seeds(rows)),
        error,
    ]


def _source(entry: Entry) -> str:
    """The source that the network learnt from."""
    teacher = entry.model.teacher
    if teacher is not None:
        return f"{teacher.architecture}, {alpha_label(teacher.smoothing)}{sight_label(teacher)}"
    return "labels" if entry.amount == 0 else f"labels, {alpha_label(entry.model.smoothing)}"


def _temperature(entry: Entry) -> str:
    teacher = entry.model.teacher
    return "logits" if teacher is None or teacher.temperature is None else f"{teacher.temperature:g}"


def _order(entry: Entry) -> tuple[bool, str, str, float, float]:
    teacher = entry.model.teacher
    at = math.inf if teacher is None or teacher.temperature is None else teacher.temperature
    beta = 0.0 if teacher is None else teacher.beta
    return teacher is not None, str(entry.model.architecture), _source(entry), beta, at
