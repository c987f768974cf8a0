"""Records in, rows out: loading and choosing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mt_ls.calibration.bins import Bins
from mt_ls.records import Record, RecordError, read
from mt_ls.records.items import Items, read_items


@dataclass(frozen=True, eq=False)
class Row:
    """A record and the folder of its items."""

    record: Record
    folder: Path

    @cached_property
    def items(self) -> Items | None:
        """The sums of each sentence or image, None if none were kept. Raises RecordError for a damaged file."""
        return read_items(self.folder, self.record)


def load(paths: Iterable[str | Path]) -> list[Row]:
    """The records of files, and of each ``records.jsonl`` under folders.

    Of two records of one run and the same work the last counts. Raises RecordError if a path does not exist, or if
    there is no record.
    """
    paths = list(paths)
    rows: dict[tuple[Any, ...], Row] = {}
    for path in map(Path, paths):
        if not path.exists():
            raise RecordError(f"{path}: no such file or folder")
        for file in [path] if path.is_file() else sorted(path.rglob("records.jsonl")):
            for record in read(file):
                rows[record.run, *record.key] = Row(record, file.parent)
    if not rows:
        raise RecordError(f"{', '.join(map(str, paths))}: no record; measure a model with python -m mt_ls.measure")
    return list(rows.values())


def of_one_corpus(rows: Sequence[Row], corpus: str | None) -> list[Row]:
    """The rows of a corpus. Raises RecordError for one that is not there, and for several where none is named."""
    corpora = sorted({row.record.model.corpus for row in rows})
    if corpus is None and len(corpora) > 1:
        raise RecordError(f"records of several corpora ({', '.join(corpora)}): choose one with --corpus")
    if corpus is not None and corpus not in corpora:
        raise RecordError(f"no record of corpus {corpus!r}; there is {', '.join(corpora)}")
    return [row for row in rows if corpus is None or row.record.model.corpus == corpus]


def select(rows: Iterable[Row], **wanted: Any) -> list[Row]:
    """The rows whose record, or whose model, has these values; numbers match to 1e-6.

    ``amount`` is that of the model's smoothing.
    """
    return [row for row in rows if all(_equal(_value(row.record, name), wanted[name]) for name in wanted)]


def _value(record: Record, name: str) -> Any:
    return getattr(record, name) if hasattr(record, name) else getattr(record.model, name)


def _equal(value: Any, wanted: Any) -> bool:
    if isinstance(value, float) and isinstance(wanted, float | int):
        return abs(value - wanted) <= 1e-6
    return value == wanted


def at_fitted(rows: Iterable[Row]) -> list[Row]:
    """The rows at the fitted temperature of their run."""
    return [row for row in rows if row.record.fitted_temperature == row.record.temperature]


def main_search(rows: Sequence[Row]) -> list[Row]:
    """The rows without the beam searches other than the one that was measured at the most temperatures.

    Tables and curves over temperature are of one beam, one length penalty and one precision.
    """
    measured: dict[tuple[Any, ...], set[float]] = {}
    for row in select(rows, mode="beam"):
        measured.setdefault(_search(row.record), set()).add(row.record.temperature)
    main = max(measured, key=lambda search: len(measured[search]), default=None)
    return [row for row in rows if row.record.mode != "beam" or _search(row.record) == main]


def of_widest_grid(rows: Sequence[Row]) -> list[Row]:
    """The rows of the runs that were measured at the most temperatures.

    A curve over temperature is then of the same runs at each. The temperature that was fitted to a run does not count,
    unless another run was measured there for another reason.
    """
    measured: dict[str, set[float]] = {}
    chosen = set()
    for row in rows:
        measured.setdefault(row.record.run, set()).add(row.record.temperature)
        if row.record.temperature != row.record.fitted_temperature:
            chosen.add(row.record.temperature)
    n = {run: len(grid & chosen) for run, grid in measured.items()}
    most = max(n.values(), default=0)
    return [row for row in rows if n[row.record.run] == most]


def _search(record: Record) -> tuple[Any, ...]:
    return record.beam, record.lenpen, record.search_precision


def held_out(row: Row) -> Bins | None:
    """The bins of the items that did not choose the row's fitted temperature.

    These are the odd-numbered items of the split that it was fitted on, and all items of another split. None where
    the items were not kept.
    """
    if row.record.fitted_on != row.record.split:
        return row.record.bins
    if row.items is None or row.items.bins is None:
        return None
    return Bins.from_sums(row.items.bins[1::2].sum(axis=0))


def n_seeds(rows: Iterable[Row]) -> int:
    """The number of distinct training seeds of the rows of one model; runs of unknown seed count one each."""
    return len({row.record.run if row.record.seed is None else row.record.seed for row in rows})


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of the values that are not None, or None."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
