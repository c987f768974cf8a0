"""The claims about images: the paper's sections 2, 3 and 4. All of a claim's runs share a training seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np
from scipy import stats

from mt_ls.records import Smoothing

from .. import paper, significance
from ..collapsed import collapsed_information
from ..quantities import ACCURACY, ECE, Quantity, trace_ratio
from ..rows import Row, at_fitted, mean, select
from ..study import Entry, Study
from .rule import Claim, Measured, Missing, NotTestable, Part, PremiseNotMet

BySeed = dict[int, np.ndarray]
"""A quantity by training seed: its value, then that on each resample."""


class Pair(NamedTuple):
    """A network without smoothing and the same network with it, and the evidence that has their quantities."""

    hard: Entry
    smoothed: Entry
    evidence: Evidence


class Evidence:
    """The quantities of a study of images, by training seed."""

    def __init__(self, study: Study, draws: int) -> None:
        self.study = study
        self._draws = draws

    def pairs(self, amount: float = 0.1) -> dict[str, Pair]:
        """Networks without smoothing beside the same network with this amount, by name: architecture, or label where
        several pairs have one architecture. Raises Missing if there is none."""
        pairs = [
            pair
            for pair in sorted(self.study.smoothed_by(amount), key=lambda pair: str(pair[0].model.architecture))
            if all(entry.select(mode="images", split=self.study.split, temperature=1.0) for entry in pair)
        ]
        if not pairs:
            raise Missing(f"runs of one network with alpha 0 and {amount:g}")
        architectures = [hard.model.architecture for hard, _ in pairs]
        return {
            hard.label if architectures.count(hard.model.architecture) > 1 else str(hard.model.architecture): Pair(
                hard, smoothed, self
            )
            for hard, smoothed in pairs
        }

    def resampled(self, quantity: Quantity, entries: Iterable[Entry], temperature: float | str = 1.0) -> BySeed:
        """A quantity on the reported images at a temperature, or "fitted". Raises Missing if none is measured."""
        entries = list(entries)
        vectors: BySeed = {}
        for entry in entries:
            for row in _at(entry.select(mode="images", split=self.study.split), temperature):
                vector = quantity.resampled(row, self._draws)
                if vector is not None:
                    _add(vectors, row.record.seed or 0, vector, entries)
        if not vectors:
            labels = ", ".join(entry.label for entry in entries) or "any network"
            raise Missing(f"{quantity.name} on {self.study.split} at T {temperature} of {labels}")
        return vectors

    def chosen(self, quantity: Quantity, entry: Entry) -> float:
        """The mean of a quantity at T = 1 on the split that chooses. Raises Missing if it is not measured."""
        rows = entry.select(mode="images", split=self.study.chosen_on, temperature=1.0)
        value = mean(quantity.value(row) for row in rows)
        if value is None:
            raise Missing(f"{quantity.name} on {self.study.chosen_on} of {entry.label}")
        return value

    def geometry(self, field: str, entry: Entry, split: str) -> BySeed:
        """A number of the geometry of activations, which is not resampled. Raises Missing if it is not measured."""
        numbers = {
            row.record.seed or 0: _with_ratio(row.record.geometry)
            for row in entry.select(mode="images", split=split, temperature=1.0)
            if row.record.geometry
        }
        values = {seed: np.full(self._draws + 1, of[field]) for seed, of in numbers.items() if field in of}
        if not values:
            raise Missing(f"{field} on {split} of {entry.label}")
        return values

    def taught_by(self, alpha: float) -> dict[float | None, list[Entry]]:
        """The students of the teachers with this smoothing, by the temperature that taught, None for logits.

        Raises Missing if there are none.
        """
        students: dict[float | None, list[Entry]] = {}
        for entry in self.study.entries:
            teacher = entry.model.teacher
            if teacher is not None and teacher.smoothing == Smoothing(amount=alpha):
                students.setdefault(teacher.temperature, []).append(entry)
        if not students:
            raise Missing(f"students of a teacher with alpha {alpha:g}")
        return students

    def teachers(self, alpha: float) -> list[Entry]:
        """The networks that taught with this smoothing: on MNIST that without has dropout instead."""
        names = {
            entry.model.teacher.architecture
            for students in self.taught_by(alpha).values()
            for entry in students
            if entry.model.teacher
        }
        if len(names) != 1:
            raise Missing(f"students of one kind of teacher with alpha {alpha:g}")
        return [e for e in self.study.untaught if e.model.architecture in names and e.amount == alpha and e.is_plain]

    def of_information(self, alpha: float) -> list[Entry]:
        """The networks with this smoothing that learnt from labels."""
        return [entry for entry in self.study.untaught if entry.amount == alpha and entry.is_plain]

    def information(self, alpha: float) -> BySeed:
        """Mutual information (nats) after each epoch, by seed. Raises Missing if it was not recorded."""
        curves: BySeed = {}
        entries = self.of_information(alpha)
        for entry in entries:
            for seed, points in entry.information.items():
                _add(curves, seed, np.array([nats for _, nats in points]), entries)
        if not curves:
            raise Missing(f"mutual information during the training with alpha {alpha:g}")
        return curves


def _with_ratio(geometry: Mapping[str, float]) -> dict[str, float]:
    """A record's geometry with the ratio of the variances within and between classes."""
    ratio = trace_ratio(geometry)
    return {**geometry} if ratio is None else {**geometry, "variance_ratio": ratio}


def _add(values: BySeed, seed: int, value: np.ndarray, entries: Iterable[Entry]) -> None:
    """Add the value of a seed. Raises Missing for a second one: of several models none is chosen in silence."""
    if seed in values:
        raise Missing(f"records of one model; there are {', '.join(entry.label for entry in entries)}")
    values[seed] = value


def _at(rows: list[Row], temperature: float | str) -> list[Row]:
    return at_fitted(rows) if temperature == "fitted" else select(rows, temperature=temperature)


def common_seeds(*quantities: BySeed) -> list[np.ndarray]:
    """Each as (seeds, draws + 1) over the seeds that all have. Raises Missing if there is none."""
    seeds = sorted(set.intersection(*(set(quantity) for quantity in quantities)))
    if not seeds:
        raise Missing("runs with a common seed")
    return [np.stack([quantity[seed] for seed in seeds]) for quantity in quantities]


def _geometry(field: str, split: str, sign: int = -1) -> Callable[[Pair], Measured]:
    """How much smoothing changes a number of the geometry for the better: less of it, or with ``sign`` +1 more."""

    def measure(pair: Pair) -> Measured:
        entries = pair.hard, pair.smoothed
        hard, smoothed = common_seeds(*(pair.evidence.geometry(field, entry, split) for entry in entries))
        return Measured(sign * (smoothed - hard))

    return measure


def _ece_of(pair: Pair) -> tuple[BySeed, BySeed, BySeed]:
    """ECE of the hard network at T = 1 and at its fitted temperature, and of the smoothed one."""
    of = pair.evidence.resampled
    return of(ECE, [pair.hard]), of(ECE, [pair.hard], "fitted"), of(ECE, [pair.smoothed])


def _calibrates(pair: Pair) -> Measured:
    hard, _, smoothed = common_seeds(*_ece_of(pair))
    return Measured(hard - smoothed)


def _temperature_calibrates(pair: Pair) -> Measured:
    hard, scaled, _ = common_seeds(*_ece_of(pair))
    return Measured(hard - scaled)


def _temperature_does_as_well(pair: Pair) -> Measured:
    hard, scaled, smoothed = common_seeds(*_ece_of(pair))
    if significance.estimate(hard - smoothed).interval()[0] <= 0:
        raise PremiseNotMet("smoothing 0.1 is not seen to lower the ECE")
    return Measured(smoothed - scaled)


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


def _over_seeds(value: Callable[[np.ndarray, np.ndarray], float]) -> Callable[[Evidence], Measured]:
    """A number of the curves of mutual information without smoothing and with it, of each common seed."""

    def measure(evidence: Evidence) -> Measured:
        hard, smoothed = evidence.information(0.0), evidence.information(0.1)
        seeds = sorted(hard.keys() & smoothed.keys())
        if not seeds:
            raise Missing("mutual information of runs with a common seed")
        values = np.array([value(hard[seed], smoothed[seed]) for seed in seeds])
        return Measured(np.repeat(values[:, np.newaxis], 3, axis=1))

    return measure


def _fall(curve: np.ndarray) -> float:
    return float(curve.max() - curve[-1])


def _ends_collapsed(evidence: Evidence) -> Measured:
    """The end of the smoothed networks' curves less the estimate for two collapsed clusters of as many images."""
    rows = [row.record for e in evidence.of_information(0.1) for row in e.select(mode="information")]
    if not rows:
        raise Missing("mutual information during the training with alpha 0.1")
    samples = (rows[0].mutual_information or {}).get("samples", 0)
    try:
        floor = collapsed_information(rows[0].n_sentences, samples, reused=False)
    except ValueError as error:
        raise Missing(str(error)) from None
    measured = _over_seeds(lambda _, smoothed: float(smoothed[-1]) - floor.mean)(evidence)
    return Measured(
        measured.vectors, f"collapsed: {floor.mean:.3f} (95 % of simulations {floor.low:.3f} to {floor.high:.3f})"
    )


def _ece_to(row: tuple[str, ...]) -> str:
    return f"{row[1]} to {row[3].split(' / ')[0]} with alpha {row[3].split(' / ')[1]}"


def _ece_and(row: tuple[str, ...]) -> str:
    return f"{row[2].split(' / ')[0]} and {row[3].split(' / ')[0]}"


def _of_either_amount(evidence: Evidence) -> dict[str, Pair]:
    """The pairs with smoothing 0.1, and those with 0.05, the paper's amount on CIFAR-100, by network and amount."""
    pairs: dict[str, Pair] = {}
    missing = None
    for amount in (0.05, 0.1):
        try:
            pairs |= {f"{name}, alpha {amount:g}": pair for name, pair in evidence.pairs(amount).items()}
        except Missing as reason:
            missing = reason
    if not pairs and missing is not None:
        raise missing
    return pairs


def _of_pairs(number: int, words: str, where: str, numbers: str, *parts: Part) -> Claim:
    return Claim(number, words, where, numbers, parts, lambda evidence: evidence.pairs())


def _of_all(number: int, words: str, where: str, numbers: str, *parts: Part) -> Claim:
    return Claim(number, words, where, numbers, parts, lambda evidence: {"": evidence})


_CIFAR100, _IMAGENET = paper.CALIBRATION_IMAGES
_ERRORS = list(paper.MNIST_ERRORS.values())
CLAIMS = (
    _of_pairs(
        11,
        "Smoothing makes clusters of penultimate activations tighter",
        "Fig. 1",
        "only drawn",
        Part("NC1(0) - NC1(0.1), train", "NC1", _geometry("nc1", "train")),
        Part("the same on valid", "NC1", _geometry("nc1", "valid")),
        Part("variance within / between, (0) - (0.1), train", "ratio", _geometry("variance_ratio", "train")),
        Part("the same on valid", "ratio", _geometry("variance_ratio", "valid")),
        Part("R² of classes (0.1) - (0), train", "R²", _geometry("class_separation", "train", 1)),
    ),
    _of_pairs(
        12,
        "With smoothing activations keep equal distances to the other classes' templates",
        "section 2",
        "only drawn",
        Part("relative deviation of distances (0) - (0.1), train", "ratio", _geometry("spread_of_others", "train")),
        Part("the same of wrong logits, without scale", "ratio", _geometry("spread_of_wrong_logits", "train")),
        Part("irregularity of class triangles (0) - (0.1), train", "ratio", _geometry("triangle_projected", "train")),
    ),
    Claim(
        13,
        "Smoothing lowers the ECE of image classifiers",
        "Table 3, Fig. 2",
        f"{_ece_to(_CIFAR100)}, {_ece_to(_IMAGENET)}",
        (Part("ECE(0) - ECE(alpha)", "ECE", _calibrates),),
        _of_either_amount,
    ),
    _of_pairs(
        14,
        "A fitted temperature lowers the baseline's ECE as far as smoothing does",
        "Table 3",
        f"{_ece_and(_CIFAR100)}, {_ece_and(_IMAGENET)}",
        Part("ECE(0) - ECE(0, fitted T)", "ECE", _temperature_calibrates),
        Part("ECE(0.1) - ECE(0, fitted T)", "ECE", _temperature_does_as_well, "no worse"),
    ),
    _of_all(
        15,
        "Smoothed teachers are more accurate",
        "section 4",
        f"MNIST error {_ERRORS[0]} to {_ERRORS[1]} %",
        Part("accuracy(0.1) - accuracy(0) of the teachers", "accuracy", _better_teachers),
    ),
    _of_all(
        16,
        "And their students are less accurate",
        "section 4, Fig. 5",
        f"MNIST error {_ERRORS[2]} to {_ERRORS[3]} %",
        Part("accuracy of the hard teacher's best students - the smoothed one's", "accuracy", _worse_students),
        Part("the same at the T of the nearest gamma", "accuracy", _worse_at_matched_gamma),
    ),
    _of_all(
        17,
        "Information about the input rises, then falls during training, more with smoothing, towards log 2",
        "Fig. 6",
        "only drawn",
        Part("rise with 0.1: greatest - first", "nats", _over_seeds(lambda _, curve: float(curve.max() - curve[0]))),
        Part("fall with 0.1: greatest - last", "nats", _over_seeds(lambda _, curve: _fall(curve))),
        Part("fall with 0.1 - fall with 0", "nats", _over_seeds(lambda hard, curve: _fall(curve) - _fall(hard))),
        Part("last with 0.1 - that of two collapsed clusters", "nats", _ends_collapsed, "same"),
    ),
    _of_all(
        18,
        "At its best temperature, too, a smoothed teacher's students are less accurate",
        "beyond section 4",
        "not in this paper",
        Part("accuracy of the hard teacher's best students - the smoothed one's", "accuracy", _no_temperature_mends),
    ),
)
