"""The claims about images: the paper's sections 2, 3 and 4. All of a claim's runs share a training seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mt_ls.vision.mutual_information import curves

from .. import rows as table
from ..rows import Row, select
from .rule import ABOUT_THE_SAME, Claim, Finding, Missing, Parts, judge

Seeds = dict[int, np.ndarray]
"""A quantity by training seed: its value, then that on each resample."""


class Panel:
    """The quantities of runs on one set of images, by training seed."""

    def __init__(self, rows: Sequence[Row], draws: int) -> None:
        self._rows = rows
        self._draws = draws

    def runs(self, split: str, temperature: float | str = 1.0, **wanted: Any) -> list[Row]:
        """The rows of runs with these fields; ``teacher`` is None, or a dictionary of what must be true of it."""
        taught = wanted.pop("teacher", None)
        rows = select(self._rows, mode="images", split=split, **wanted)
        rows = [row for row in rows if _fits(row.record.teacher, taught)]
        return table.at_fitted(rows) if temperature == "fitted" else select(rows, temperature=temperature)

    def __call__(self, quantity: str, temperature: float | str = 1.0, split: str = "test", **wanted: Any) -> Seeds:
        """A function of `significance` on the images of a split, or a number of the geometry, not resampled."""
        found: Seeds = {}
        for row in self.runs(split, temperature, **wanted):
            if row.record.geometry and quantity in row.record.geometry:
                found[row.record.seed or 0] = np.full(self._draws + 1, row.record.geometry[quantity])
            elif (values := table.resampled(row, quantity, self._draws)) is not None:
                found[row.record.seed or 0] = values
        if not found:
            raise Missing(f"{quantity} on {split} at T {temperature} of {wanted}")
        return found

    def networks(self) -> list[str]:
        """Those that were trained both with smoothing 0.1 and without, and no teacher."""
        sets = [{str(row.record.network) for row in self.runs("test", alpha=alpha)} for alpha in (0.0, 0.1)]
        found = sorted(set.intersection(*sets))
        if not found:
            raise Missing("runs of one network with alpha 0 and 0.1")
        return found

    def information(self, alpha: float) -> dict[int, np.ndarray]:
        """Mutual information (nats) after each epoch, by seed."""
        found = curves(self._rows, alpha)
        if not found:
            raise Missing(f"mutual information during the training with alpha {alpha:g}")
        return {seed: np.array([nats for _, nats in points]) for seed, points in found.items()}


def _fits(teacher: dict[str, Any] | None, wanted: dict[str, Any] | None) -> bool:
    if wanted is None or teacher is None:
        return wanted is None and teacher is None
    return all(teacher.get(key) == value for key, value in wanted.items())


def together(*quantities: Seeds) -> list[np.ndarray]:
    """Each as (seeds, draws + 1) over the seeds that all have. Raises Missing if there is none."""
    seeds = sorted(set.intersection(*(set(one) for one in quantities)))
    if not seeds:
        raise Missing("runs with a common seed")
    return [np.stack([one[seed] for seed in seeds]) for one in quantities]


def _lower_with_smoothing(panel: Panel, quantity: str, split: str) -> Parts:
    parts = {}
    for network in panel.networks():
        hard, smooth = together(*(panel(quantity, split=split, network=network, alpha=alpha) for alpha in (0.0, 0.1)))
        parts[f"{quantity}(0) - {quantity}(0.1), {network}, {split}"] = hard - smooth
    return parts


def _tighter(panel: Panel) -> Parts:
    return {**_lower_with_smoothing(panel, "nc1", "train"), **_lower_with_smoothing(panel, "nc1", "valid")}


def _equidistant(panel: Panel) -> Parts:
    return _lower_with_smoothing(panel, "spread_of_others", "train")


def _calibrates(panel: Panel) -> Parts:
    return _lower_with_smoothing(panel, "ece", "test")


def _temperature_does_as_well(panel: Panel) -> Parts:
    parts = {}
    for network in panel.networks():
        hard, scaled, smooth = together(
            panel("ece", network=network, alpha=0.0),
            panel("ece", "fitted", network=network, alpha=0.0),
            panel("ece", network=network, alpha=0.1),
        )
        parts[f"ECE(0) - ECE(0, fitted T), {network}"] = hard - scaled
        parts[f"{ABOUT_THE_SAME} - (ECE(0, fitted T) - ECE(0.1)), {network}"] = ABOUT_THE_SAME - (scaled - smooth)
    return parts


def _better_teachers(panel: Panel) -> Parts:
    hard, smooth = together(*(panel("accuracy", **_teacher_runs(panel, alpha)) for alpha in (0.0, 0.1)))
    return {"accuracy(0.1) - accuracy(0) of the teachers": smooth - hard}


def _teacher_runs(panel: Panel, alpha: float) -> dict[str, Any]:
    """The network that taught, with this smoothing: on MNIST that without has dropout instead."""
    names = {str((row.record.teacher or {})["network"]) for row in panel.runs("test", teacher={"alpha": alpha})}
    if len(names) != 1:
        raise Missing(f"students of one kind of teacher with alpha {alpha:g}")
    return {"network": names.pop(), "alpha": alpha}


def _temperatures(panel: Panel, alpha: float) -> dict[float | None, float]:
    """Mean accuracy on valid of the students of the teacher with this smoothing, by the temperature it taught at, None
    for its logits. Raises Missing if it taught none."""
    found: dict[float | None, list[float]] = {}
    for row in panel.runs("valid", teacher={"alpha": alpha}):
        found.setdefault((row.record.teacher or {})["temperature"], []).append(row.record.bins.accuracy)
    if not found:
        raise Missing(f"students of a teacher with alpha {alpha:g}")
    return {temperature: float(np.mean(values)) for temperature, values in found.items()}


def _students(panel: Panel, alpha: float, temperatures: dict[float | None, float]) -> Seeds:
    """Accuracy of the students that were taught at that of the temperatures which is best on valid."""
    best = max(temperatures, key=lambda temperature: temperatures[temperature])
    return panel("accuracy", teacher={"alpha": alpha, "temperature": best})


def _worse_students(panel: Panel) -> Parts:
    """The best student of the hard teacher against that of the teacher smoothed by 0.1, which teaches at T = 1 or by
    its logits."""
    as_it_is = {t: value for t, value in _temperatures(panel, 0.1).items() if t in (None, 1.0)}
    if not as_it_is:
        raise Missing("students of a teacher with alpha 0.1 at T = 1, or of its logits")
    hard, smooth = together(_students(panel, 0.0, _temperatures(panel, 0.0)), _students(panel, 0.1, as_it_is))
    return {"accuracy of a hard teacher's student - of a smoothed one's": hard - smooth}


def _no_temperature_mends(panel: Panel) -> Parts:
    """The best student of each teacher over the temperatures that it taught at: a temperature gives back the scale of
    the logits that smoothing took, not what it erased."""
    temperatures = _temperatures(panel, 0.1)
    if len(temperatures) < 2:
        raise Missing("students of a teacher with alpha 0.1 at several temperatures")
    hard, smooth = together(_students(panel, 0.0, _temperatures(panel, 0.0)), _students(panel, 0.1, temperatures))
    return {"accuracy of a hard teacher's student - of a smoothed one's, each at its best T": hard - smooth}


def _information_falls(panel: Panel) -> Parts:
    """After its greatest value information falls, more with smoothing; and at the end it is above log 2."""
    hard, smooth = panel.information(0.0), panel.information(0.1)
    seeds = sorted(hard.keys() & smooth.keys())
    if not seeds:
        raise Missing("mutual information of runs with a common seed")

    def over_seeds(values: list[float]) -> np.ndarray:
        return np.repeat(np.array(values)[:, None], 3, axis=1)

    return {
        "fall with 0.1, nats": over_seeds([smooth[s].max() - smooth[s][-1] for s in seeds]),
        "fall with 0.1 - fall with 0, nats": over_seeds(
            [(smooth[s].max() - smooth[s][-1]) - (hard[s].max() - hard[s][-1]) for s in seeds]
        ),
        "information with 0.1 at the end - log 2, nats": over_seeds([smooth[s][-1] - np.log(2) for s in seeds]),
    }


CLAIMS = (
    Claim(11, "Smoothing makes clusters of penultimate activations tighter", "Fig. 1", "only drawn", "NC1", _tighter),
    Claim(
        12,
        "With smoothing activations keep equal distances to the other classes' templates",
        "section 2",
        "only drawn",
        "relative deviation",
        _equidistant,
    ),
    Claim(
        13,
        "Smoothing 0.1 lowers the ECE of image classifiers",
        "Table 3, Fig. 2",
        "0.150 to 0.024, 0.071 to 0.035",
        "ECE",
        _calibrates,
    ),
    Claim(
        14,
        "A fitted temperature lowers the baseline's ECE as far as smoothing does",
        "Table 3",
        "0.021 and 0.024, 0.022 and 0.035",
        "ECE",
        _temperature_does_as_well,
    ),
    Claim(
        15,
        "Smoothed teachers are more accurate",
        "section 4",
        "MNIST error 0.67 to 0.59 %",
        "accuracy",
        _better_teachers,
    ),
    Claim(
        16,
        "And their students are less accurate",
        "section 4, Fig. 5",
        "MNIST error 0.74 to 0.91 %",
        "accuracy",
        _worse_students,
    ),
    Claim(
        17,
        "Information about the input falls during training, more with smoothing, towards log 2",
        "Fig. 6",
        "only drawn",
        "nats",
        _information_falls,
    ),
    Claim(
        18,
        "At its best temperature, too, a smoothed teacher's students are less accurate",
        "beyond section 4",
        "not in this paper",
        "accuracy",
        _no_temperature_mends,
    ),
)


def findings(rows: Sequence[Row], draws: int) -> list[Finding]:
    """The verdict on every claim, from records of one set of images."""
    panel = Panel(rows, draws)
    return [judge(claim, panel) for claim in CLAIMS]
