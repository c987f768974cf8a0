"""The claims about teachers and their students: section 4 of the paper, and beyond it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import stats

from .. import paper
from ..quantities import ACCURACY
from ..rows import mean
from ..study import Entry
from .image_evidence import Evidence, common_seeds, of_all
from .rule import Measured, Missing, NotTestable, Part


def _better_teachers(evidence: Evidence) -> Measured:
    hard, smoothed = common_seeds(*(evidence.resampled(ACCURACY, evidence.teachers(alpha)) for alpha in (0.0, 0.1)))
    return Measured(smoothed - hard, _mcnemar(evidence, evidence.teachers(0.1), evidence.teachers(0.0)))


def _best(evidence: Evidence, students: Mapping[float | None, list[Entry]]) -> float | None:
    """The temperature that taught the students of greatest accuracy on the split that chooses."""
    means = {
        temperature: mean(
            row.record.bins.accuracy
            for entry in entries
            for row in entry.select(mode="images", split=evidence.study.chosen_on, temperature=1.0)
        )
        for temperature, entries in students.items()
    }
    known = {temperature: value for temperature, value in means.items() if value is not None}
    if not known:
        raise Missing(f"students measured on {evidence.study.chosen_on}")
    return max(known, key=lambda temperature: known[temperature])


def _of_logits_or_at_one(evidence: Evidence) -> dict[float | None, list[Entry]]:
    """The students of the smoothed teacher as it is: of its logits, or taught at T = 1."""
    as_it_is = {t: entries for t, entries in evidence.taught_by(0.1).items() if t in (None, 1.0)}
    if not as_it_is:
        raise Missing("students of a teacher with alpha 0.1 at T = 1, or of its logits")
    return as_it_is


def _hard_less_smoothed(
    evidence: Evidence, at: float | None, students: Mapping[float | None, list[Entry]], of_smoothed: float | None
) -> Measured:
    """Accuracy of the hard teacher's students that were taught ``at`` a temperature, less that of the smoothed one's
    ``students``."""
    entries = evidence.taught_by(0.0)[at], students[of_smoothed]
    hard, smoothed = common_seeds(*(evidence.resampled(ACCURACY, of) for of in entries))
    taught = f"taught by {_taught(at)} and {_taught(of_smoothed)}"
    return Measured(hard - smoothed, f"{taught}; {_mcnemar(evidence, *entries)}")


def _taught(temperature: float | None) -> str:
    return "logits" if temperature is None else f"T = {temperature:g}"


def _worse_students(evidence: Evidence) -> Measured:
    """The best student of the hard teacher against that of the teacher smoothed by 0.1 as it is."""
    students = _of_logits_or_at_one(evidence)
    return _hard_less_smoothed(evidence, _best(evidence, evidence.taught_by(0.0)), students, _best(evidence, students))


def _worse_at_matched_gamma(evidence: Evidence) -> Measured:
    """The hard teacher's student at the temperature whose gamma is nearest to the smoothed teacher's at T = 1."""
    hard, smoothed = evidence.taught_by(0.0), evidence.taught_by(0.1)
    gammas = {t: _gamma(entries) for t, entries in hard.items() if t is not None and _gamma(entries) is not None}
    of_smoothed = _gamma(smoothed.get(1.0, []))
    if of_smoothed is None or len(gammas) < 2:
        raise Missing("students of a hard teacher at several temperatures, and of a smoothed one at T = 1, with gamma")
    nearest = min(gammas, key=lambda t: abs((gammas[t] or 0.0) - of_smoothed))
    measured = _hard_less_smoothed(evidence, nearest, smoothed, 1.0)
    return Measured(measured.vectors, f"gamma {gammas[nearest]:.2f} and {of_smoothed:.2f}; {measured.note}")


def _gamma(entries: list[Entry]) -> float | None:
    rows = [row.record.teacher_run for entry in entries for row in entry.rows]
    return mean(run.gamma if run else None for run in rows)


def _no_temperature_mends(evidence: Evidence) -> Measured:
    """The best student of each teacher over the temperatures that it taught at.

    A temperature gives back the scale of the logits that smoothing took, not what it erased.
    """
    students = evidence.taught_by(0.1)
    if len(students) < 2:
        raise Missing("students of a teacher with alpha 0.1 at several temperatures")
    best = _best(evidence, students)
    if best in (None, 1.0):
        raise NotTestable(f"the best students of the smoothed teacher are those of {_taught(best)}, as in 16a")
    return _hard_less_smoothed(evidence, _best(evidence, evidence.taught_by(0.0)), students, best)


def _mcnemar(evidence: Evidence, better: list[Entry], worse: list[Entry]) -> str:
    """The exact test of McNemar (1947) on the reported images, for each common seed, in words."""
    hits = [_hits(evidence, entries) for entries in (better, worse)]
    p_values = []
    for seed in sorted(hits[0].keys() & hits[1].keys()):
        first, second = (of[seed] for of in hits)
        for_first, against = int((first & ~second).sum()), int((second & ~first).sum())
        p_values.append(stats.binomtest(for_first, for_first + against).pvalue if for_first + against else 1.0)
    return f"on the images p = {', '.join(f'{p:.2g}' for p in p_values)} by seed" if p_values else ""


def _hits(evidence: Evidence, entries: list[Entry]) -> dict[int, np.ndarray]:
    """Whether each reported image was classified right, (N,), by seed."""
    hits = {}
    for entry in entries:
        for row in entry.select(mode="images", split=evidence.study.split, temperature=1.0):
            if row.items is not None and row.items.bins is not None:
                hits[row.record.seed or 0] = row.items.bins[:, 2].sum(axis=-1) > 0
    return hits


_ERRORS = list(paper.MNIST_ERRORS.values())
CLAIMS = (
    of_all(
        15,
        "Smoothed teachers are more accurate",
        "section 4",
        f"MNIST error {_ERRORS[0]} to {_ERRORS[1]} %",
        Part("accuracy(0.1) - accuracy(0) of the teachers", "accuracy", _better_teachers),
    ),
    of_all(
        16,
        "And their students are less accurate",
        "section 4, Fig. 5",
        f"MNIST error {_ERRORS[2]} to {_ERRORS[3]} %",
        Part("accuracy of the hard teacher's best students - the smoothed one's", "accuracy", _worse_students),
        Part("the same at the T of the nearest gamma", "accuracy", _worse_at_matched_gamma),
    ),
    of_all(
        18,
        "At its best temperature, too, a smoothed teacher's students are less accurate",
        "beyond section 4",
        "not in this paper",
        Part("accuracy of the hard teacher's best students - the smoothed one's", "accuracy", _no_temperature_mends),
    ),
)
