"""Records in, rows out: loading, choosing and laying out as text. A missing measurement is an empty cell."""

from __future__ import annotations

import functools
import operator
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mt_ls.calibration.bins import Bins
from mt_ls.records.record import Measurement, RecordError, read, written_whole

from . import significance


@dataclass(frozen=True)
class Row:
    """A measurement and the folder of its arrays."""

    record: Measurement
    folder: Path

    def array(self, name: str) -> np.ndarray | None:
        """One of the arrays beside the record, a row a sentence, as float64; None where it was not kept. Raises
        RecordError for a file that is not whole."""
        path = self.folder / (self.record.arrays or "")
        if not path.is_file():
            return None
        try:
            with np.load(path) as arrays:
                return arrays[name].astype(float) if name in arrays else None
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
            reason = " ".join(str(error).split())
            raise RecordError(f"{path}: cannot be read ({reason}): remove its record, and measure again") from None

    def hypotheses(self) -> list[str] | None:
        """The text of a search, one a sentence; None where it was not kept."""
        text = self.array("text")
        return None if text is None else text.astype("u1").tobytes().decode().split("\n")[:-1]


def load(paths: Iterable[str | Path]) -> list[Row]:
    """The records of files, and of each ``records.jsonl`` under folders; of two of the same work the last counts.

    Raises RecordError if a path does not exist, or holds no record.
    """
    found: dict[tuple[Any, ...], Row] = {}
    for path in map(Path, paths):
        if not path.exists():
            raise RecordError(f"{path}: no such file or folder")
        for file in [path] if path.is_file() else sorted(path.rglob("records.jsonl")):
            for record in read(file):
                found[record.key()] = Row(record, file.parent)
    if not found:
        raise RecordError(f"{', '.join(map(str, paths))}: no record; measure a model with python -m mt_ls.measure")
    return list(found.values())


def of_one_corpus(rows: list[Row], corpus: str | None) -> list[Row]:
    """The rows of a corpus. Raises RecordError for one that is not there, and for several where none is named."""
    found = sorted({str(row.record.corpus) for row in rows})
    if corpus is None and len(found) > 1:
        raise RecordError(f"records of several corpora ({', '.join(found)}): choose one with --corpus")
    if corpus is not None and corpus not in found:
        raise RecordError(f"no record of corpus {corpus!r}; there is {', '.join(found)}")
    return [row for row in rows if corpus is None or row.record.corpus == corpus]


def of_images(rows: Iterable[Row]) -> bool:
    """Whether the records are of image classifiers."""
    return any(row.record.mode == "images" for row in rows)


def select(rows: Iterable[Row], **wanted: Any) -> list[Row]:
    """The rows whose record has these values; a temperature matches to 1e-6."""

    def fits(record: Measurement) -> bool:
        for field, value in wanted.items():
            found = getattr(record, field)
            if isinstance(value, float) and isinstance(found, float):
                if abs(found - value) > 1e-6:
                    return False
            elif found != value:
                return False
        return True

    return [row for row in rows if fits(row.record)]


def main_search(rows: Sequence[Row]) -> list[Row]:
    """Without the records of beam searches other than the one measured at the most temperatures: tables and curves over
    temperature speak of one beam and one length penalty."""
    measured: dict[tuple[int | None, float | None], set[float]] = {}
    for row in select(rows, mode="beam"):
        record = row.record
        measured.setdefault((record.beam, record.lenpen), set()).add(record.temperature)
    main = max(measured, key=lambda search: len(measured[search]), default=None)
    return [row for row in rows if row.record.mode != "beam" or (row.record.beam, row.record.lenpen) == main]


def alphas(rows: Iterable[Row]) -> list[float]:
    """The amounts of smoothing that were measured, in order."""
    return sorted({row.record.alpha for row in rows if row.record.alpha is not None})


def at_fitted(rows: Sequence[Row]) -> list[Row]:
    """The rows at their run's fitted temperature."""
    return [r for r in rows if r.record.fitted_temperature == r.record.temperature]


def held_out(row: Row) -> Bins | None:
    """The bins of the sentences that the row's temperature was not fitted on: the odd-numbered ones of the split that
    it was fitted on, all of another. None where the arrays that tell were not kept."""
    record = row.record
    if record.fitted_on != record.split:
        return record.bins
    sums = row.array("sentence_bins")
    return None if sums is None else Bins.from_sums(sums[1::2].sum(axis=0))


ARRAYS = {"nll": ("sentence_nll", "sentence_bins"), "bleu": ("sentence_bleu",), "length_ratio": ("sentence_bleu",)}
"""Names of the arrays that a quantity of `significance` is computed from, where they are not the bins alone."""


def arrays_of(row: Row, quantity: str) -> list[np.ndarray] | None:
    """What a quantity of `significance` is computed from; None where it was not kept."""
    names = ARRAYS.get(quantity, ("sentence_bins",))
    arrays = [array for name in names if (array := row.array(name)) is not None]
    return arrays if len(arrays) == len(names) else None


def pooled(rows: Iterable[Row]) -> Bins:
    """The bins of all rows together. Raises TypeError for none."""
    return functools.reduce(operator.add, (row.record.bins for row in rows))


def resampled(
    row: Row, quantity: str, draws: int = significance.DRAWS, sentences: slice = slice(None)
) -> np.ndarray | None:
    """(draws + 1,): a quantity of `significance` on the row's sentences as they are, and on resamples of them; None
    where the arrays were not kept."""
    arrays = arrays_of(row, quantity)
    if arrays is None:
        return None
    arrays = [array[sentences] for array in arrays]
    return getattr(significance, quantity)(*arrays, significance.resamples(len(arrays[0]), draws))


def interval(row: Row, quantity: str = "ece") -> tuple[float, float] | None:
    """95 % interval of a quantity by resampling sentences (percentile bootstrap); None where the arrays were not
    kept."""
    values = resampled(row, quantity)
    if values is None:
        return None
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return float(low), float(high)


def interval_of_mean(rows: Sequence[Row], quantity: str = "ece") -> tuple[float, float] | None:
    """95 % interval of the mean of a quantity over runs: by sentences and training seeds (`significance.estimate`), and
    of one run by sentences alone; None for no run, or where arrays were not kept."""
    if len(rows) == 1:
        return interval(rows[0], quantity)
    values = [found for row in rows if (found := resampled(row, quantity)) is not None]
    return significance.estimate(np.stack(values)).interval() if values and len(values) == len(rows) else None


def text(header: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """Aligned columns, the first one to the left; a missing cell is empty."""
    widths = [max(len(row[i]) for row in [header, *cells]) for i in range(len(header))]
    lines = []
    for row in [header, *cells]:
        name, *others = row
        aligned = [name.ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(others, widths[1:], strict=True))]
        lines.append("  ".join(aligned).rstrip())
    return "\n".join(lines)


def markdown(header: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """The same as a README shows it."""
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, ["---"] * len(header), *cells])


def write_between(file: Path, name: str, text: str) -> None:
    """Put the text between the marks ``<!-- name -->`` and ``<!-- end of name -->`` of a file, which appears whole.
    Raises RecordError for a file without them."""
    marks = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, begin, rest = file.read_text(encoding="utf-8").partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not (begin and end):
        raise RecordError(f"{file}: no lines {marks[0]} and {marks[1]} to write the table between")
    with written_whole(file) as path:
        path.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def number(value: float | None, digits: int) -> str:
    """A number with so many decimals, or an empty cell."""
    return "" if value is None else f"{value:.{digits}f}"


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of what was measured, or None."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
