"""A study: the records of one corpus, by model or by run, and of which kind it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from mt_ls.records import Model, RecordError

from .labels import labeller
from .rows import Row, main_search, select

By = Literal["model", "run"]
LITERARY = "literary"
"""The split of another domain than the training's (`data_prep.debian`)."""
_REPORTED = ("forced", "beam", "images")
"""The modes of records that are reported by split."""


@dataclass(frozen=True, eq=False)
class Entry:
    """One model of a study with all its rows: a line of a table, a curve of a figure. By run, one run."""

    label: str
    model: Model
    rows: Sequence[Row]

    def select(self, **wanted: Any) -> list[Row]:
        """The rows with these values (see `rows.select`)."""
        return select(self.rows, **wanted)

    @property
    def amount(self) -> float | None:
        """The amount of smoothing, None if it is not known."""
        return self.model.amount

    @property
    def information(self) -> dict[int, list[tuple[int, float]]]:
        """(update, nats) of the mutual information as the paper estimates it: `information_by` of "nats"."""
        return self.information_by("nats")

    def information_by(self, estimate: str) -> dict[int, list[tuple[int, float]]]:
        """(update, nats) of one ``estimate`` of the mutual information during training, in order, by training seed.

        Update 0 is the untrained network. Records without the estimate have no point, and seeds without a point no
        curve.
        """
        points: dict[int, list[tuple[int, float]]] = {}
        for row in self.select(mode="information"):
            nats = (row.record.mutual_information or {}).get(estimate)
            if nats is not None:
                points.setdefault(row.record.seed or 0, []).append((row.record.updates or 0, nats))
        return {seed: sorted(points[seed]) for seed in sorted(points)}

    @property
    def is_plain(self) -> bool:
        """Whether the smoothing is none, or the paper's: uniform, in its convention."""
        smoothing = self.model.smoothing
        return smoothing is not None and smoothing.is_of_paper


@dataclass(frozen=True, eq=False)
class Study:
    """The rows of one corpus. By "model", runs that differ in their seed alone are one entry; by "run", each run is.

    ``on_split`` is the split that is reported, None for the first of `splits`. Raises RecordError where an entry would
    average two checkpoints of one seed.
    """

    rows: Sequence[Row]
    by: By = "model"
    on_split: str | None = None

    def __post_init__(self) -> None:
        for entry in self.entries:
            _check_one_model(entry)
            _check_seeds(entry)

    @property
    def corpus(self) -> str:
        """The name of the corpus."""
        return self.rows[0].record.model.corpus

    @cached_property
    def splits(self) -> list[str]:
        """The splits that can be reported, test first: those that chose no temperature, and not train.

        "test" where nothing is measured that depends on a split, as mutual information during a training. Raises
        RecordError where every split chose a temperature.
        """
        measured = dict.fromkeys(row.record.split for row in self.rows if row.record.mode in _REPORTED)
        chose = {row.record.fitted_on for row in self.rows}
        splits = [split for split in measured if split != "train" and split not in chose]
        if splits or not measured.keys() - {"train"}:
            return sorted(splits, key=lambda split: split != "test") or ["test"]
        raise RecordError(
            f"temperatures were fitted on {', '.join(measured)}, and no other split was measured: measure one to "
            "report on with --gen-subset, or fit on another one with --fit-subset"
        )

    @cached_property
    def fitted_on(self) -> str:
        """The splits on whose halves temperatures were fitted, in words."""
        return " and ".join(dict.fromkeys(row.record.fitted_on for row in self.rows if row.record.fitted_on))

    @cached_property
    def chosen_on(self) -> str:
        """The split that temperatures and amounts of smoothing are chosen on: the one on whose half temperatures were
        fitted (of several, valid or the first one), or "valid" where none was."""
        fitted = [row.record.fitted_on for row in self.rows if row.record.fitted_on]
        return fitted[0] if fitted and "valid" not in fitted else "valid"

    @property
    def split(self) -> str:
        """The split that is reported. Raises RecordError as `splits` does."""
        return self.on_split or self.splits[0]

    def on(self, split: str) -> Study:
        """The study that reports on another of its splits. Raises RecordError for a split that is none of them."""
        self._check_split(split)
        return dataclasses.replace(self, on_split=split)

    def of_splits(self, chosen: Sequence[str]) -> Study:
        """The study that can report on the chosen ones of its splits only. Raises RecordError as `on` does."""
        for split in chosen:
            self._check_split(split)
        others = set(self.splits) - set(chosen)
        return Study([row for row in self.rows if row.record.split not in others], self.by)

    def _check_split(self, split: str) -> None:
        if split not in self.splits:
            raise RecordError(f"no report on split {split!r}: choose one of {', '.join(self.splits)}")

    @cached_property
    def is_of_images(self) -> bool:
        """Whether the models are image classifiers, and not translation models."""
        return any(row.record.mode in ("images", "information") for row in self.rows)

    @property
    def forced_mode(self) -> str:
        """The mode of predictions whose target is known: "forced" of translation, "images" of images."""
        return "images" if self.is_of_images else "forced"

    @cached_property
    def main_mode(self) -> str:
        """The mode whose calibration is shown first: that of known targets, or "beam" where only searches were
        measured, as of translations without their models."""
        return "beam" if {row.record.mode for row in self.rows} == {"beam"} else self.forced_mode

    @cached_property
    def of_main_search(self) -> Study:
        """The study without the beam searches that `rows.main_search` leaves out, on the same split."""
        return Study(main_search(self.rows), self.by, self.split)

    @cached_property
    def entries(self) -> list[Entry]:
        """The models, or the runs, in the order of their labels' fields."""
        groups: dict[Any, list[Row]] = {}
        for row in self.rows:
            groups.setdefault(row.record.run if self.by == "run" else row.record.model, []).append(row)
        if self.by == "run":
            return [Entry(run, rows[0].record.model, rows) for run, rows in groups.items()]
        models = sorted(groups, key=_order)
        label = labeller(models, named=self.is_of_images)
        return [Entry(label(model), model, groups[model]) for model in models]

    @cached_property
    def sizes(self) -> list[int]:
        """The different numbers of training pairs of the models, where they are known, in order."""
        return sorted({entry.model.pairs for entry in self.entries if entry.model.pairs is not None})

    @cached_property
    def by_size(self) -> dict[int, tuple[Entry, Entry]]:
        """The `pairs` of the architecture, vocabulary, precision and checkpoint with the most sizes of data, by number
        of training pairs in order. Empty where no size is known."""
        families: dict[tuple[object, ...], dict[int, tuple[Entry, Entry]]] = {}
        for hard, smoothed in self.pairs:
            if hard.model.pairs is not None:
                families.setdefault(family(hard.model), {})[hard.model.pairs] = hard, smoothed
        most = max(families.values(), key=len, default={})
        return {size: most[size] for size in sorted(most)}

    @property
    def untaught(self) -> list[Entry]:
        """The entries that learnt from labels alone."""
        return [entry for entry in self.entries if entry.model.teacher is None]

    @cached_property
    def comparisons(self) -> list[tuple[Entry | None, Entry | None]]:
        """Models without smoothing beside those with uniform smoothing 0.1 that are alike in all else, and untaught.

        Where there is no such pair, the model of either kind that there is. None by run.
        """
        return list(self.pairs) or self._beside(0.1)

    @cached_property
    def _shared_labels(self) -> dict[Model, str]:
        entries = [entry for pair in self.comparisons for entry in pair if entry is not None]
        shared = list(dict.fromkeys(entry.model.without_smoothing for entry in entries))
        label = labeller(shared, named=self.is_of_images, smoothing=lambda _: "")
        return {model: label(model) for model in shared}

    def shared_label(self, entry: Entry) -> str:
        """The label of a comparison by one of its models: in what it differs from the other comparisons, as in the
        architecture or the checkpoint. Empty for the only one of translations."""
        return self._shared_labels[entry.model.without_smoothing]

    @property
    def pairs(self) -> list[tuple[Entry, Entry]]:
        """The comparisons of which both models were measured."""
        return self.smoothed_by(0.1)

    def smoothed_by(self, amount: float) -> list[tuple[Entry, Entry]]:
        """Models without smoothing beside those with uniform smoothing of this amount that are alike in all else."""
        return [(hard, smoothed) for hard, smoothed in self._beside(amount) if hard and smoothed]

    def _beside(self, amount: float) -> list[tuple[Entry | None, Entry | None]]:
        beside: dict[Model, dict[float, Entry]] = {}
        for entry in self.untaught if self.by == "model" else ():
            if entry.is_plain and entry.amount in (0.0, amount):
                beside.setdefault(entry.model.without_smoothing, {})[entry.amount] = entry
        return [(models.get(0.0), models.get(amount)) for models in beside.values()]


def _check_one_model(entry: Entry) -> None:
    """Raises RecordError where a run has several models or seeds, or an entry several data sets."""
    first = entry.rows[0].record
    runs: dict[str, Row] = {}
    for row in entry.rows:
        record = row.record
        other = runs.setdefault(record.run, row)
        if (other.record.model, other.record.seed) != (record.model, record.seed):
            raise RecordError(
                f"run {record.run} has records of several models or seeds ({other.record.signature} in {other.folder}, "
                f"{record.signature} in {row.folder}): give each run a name of its own"
            )
        if record.sha["data"] != first.sha["data"]:
            raise RecordError(
                f"runs {first.run} and {record.run} are both of {entry.label}, on different data "
                f"({first.sha['data'][:8]}, {record.sha['data'][:8]}): give the records of one data set"
            )


def _check_seeds(entry: Entry) -> None:
    """Raises RecordError where one entry and seed has rows of two runs, or of two checkpoints.

    During a training, and of activations, a run may have several checkpoints.
    """
    runs: dict[int | None, Row] = {}
    checkpoints: dict[int | None, Row] = {}
    for row in entry.rows:
        record = row.record
        other = runs.setdefault(record.seed, row)
        if other.record.run != record.run:
            raise RecordError(_two_of_one_seed(entry, row, other))
        if record.mode not in ("information", "activations"):
            other = checkpoints.setdefault(record.seed, row)
            if other.record.sha["checkpoint"] != record.sha["checkpoint"]:
                raise RecordError(_two_of_one_seed(entry, row, other))


def _two_of_one_seed(entry: Entry, row: Row, other: Row) -> str:
    seed = f"seed {row.record.seed}" if row.record.seed is not None else "no known seed"
    if row.record.run != other.record.run:
        return (
            f"runs {other.record.run} and {row.record.run} are both of {entry.label} with {seed}: give one of them, or "
            "every run a line of its own with --by run"
        )
    return (
        f"run {row.record.run} has records of two checkpoints ({other.record.sha['checkpoint'][:8]} in {other.folder}, "
        f"{row.record.sha['checkpoint'][:8]} in {row.folder}): remove those of one"
    )


def family(model: Model) -> tuple[object, ...]:
    """The fields of a translation model but for its smoothing and its number of training pairs."""
    return model.architecture, model.vocabulary, model.precision, model.checkpoint


def _order(model: Model) -> tuple[Any, ...]:
    smoothing, teacher = model.smoothing, model.teacher
    return (
        teacher is not None,
        str(model.architecture),
        model.vocabulary or 0,
        model.pairs or 0,
        -1.0 if smoothing is None else smoothing.amount,
        "" if smoothing is None else smoothing.kind,
        str(model.precision),
        str(model.checkpoint),
        str(teacher),
    )
