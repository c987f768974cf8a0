"""Sums of each sentence or image, for resampling, in Parquet: a row an item and record.

A run's folder has one file a record; a published folder has one file of all its records. Both have these columns:

- ``record``: the name of the record (`Record.name`); ``item``: the number of the sentence or image, counted from 0.
- ``n``: how many predictions its bins count, in beam mode without EOS and shifted tokens; ``nll``: the sum of their NLL
  in nats.
- ``bin``, ``count``, ``confidence``, ``hits``: lists over its bins that are not empty.
- ``bleu``: what sacrebleu counts of the hypothesis (two lengths, four matches, four totals); ``text``: the hypothesis.
- ``scores``: the numbers of `mt_ls.calibration.selective.SCORES`, NaN for one that is not known; ``chrf``: chrF (0 to
  100) of the hypothesis.
- ``token``, ``token_confidence``, ``token_hit``, ``token_nll``, ``token_kept``: lists over its tokens.

A column that a record has not is null, or absent.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from ..calibration.bins import N_BINS
from ..calibration.selective import SCORES
from .files import written_whole
from .record import SCHEMA, Record, RecordError

PUBLISHED = "items.parquet"
_TYPES: dict[str, pa.DataType] = {
    "record": pa.string(),
    "item": pa.int32(),
    "n": pa.int32(),
    "nll": pa.float32(),
    "bin": pa.list_(pa.int8()),
    "count": pa.list_(pa.int16()),
    "confidence": pa.list_(pa.float32()),
    "hits": pa.list_(pa.int16()),
    "bleu": pa.list_(pa.int32()),
    "text": pa.string(),
    "scores": pa.list_(pa.float32()),
    "chrf": pa.float32(),
    "token": pa.list_(pa.int32()),
    "token_confidence": pa.list_(pa.float32()),
    "token_hit": pa.list_(pa.bool_()),
    "token_nll": pa.list_(pa.float32()),
    "token_kept": pa.list_(pa.bool_()),
}
_SCHEMA_KEY = b"mt_ls_schema"
_BINS = ("bin", "count", "confidence", "hits")
TOKENS = ("token", "token_confidence", "token_hit", "token_nll", "token_kept")
"""Columns with a value a token, which a published file leaves out."""
_FLOATS = [
    "nll",
    "chrf",
    "scores.list.element",
    "confidence.list.element",
    "token_confidence.list.element",
    "token_nll.list.element",
]


@dataclass(frozen=True, eq=False)
class Items:
    """The items of a record: ``n`` (N,), ``nll`` (N,) in nats, ``bins`` (N, 3, B) of count, confidence and hits,
    ``bleu`` (N, 10), ``scores`` (N, S) and ``chrf`` (N,), all float64, and ``text``. What was not kept is None."""

    n: np.ndarray
    nll: np.ndarray | None = None
    bins: np.ndarray | None = None
    bleu: np.ndarray | None = None
    text: Sequence[str] | None = None
    scores: np.ndarray | None = None
    chrf: np.ndarray | None = None


class ItemsWriter:
    """Writes the items of one record as they come: memory does not grow with the corpus."""

    def __init__(self, path: Path, record: str) -> None:
        self._path = path
        self._record = record
        self._file: parquet.ParquetWriter | None = None
        self._rows = 0

    def append(
        self,
        bins: np.ndarray,
        nll: np.ndarray | None = None,
        bleu: np.ndarray | None = None,
        text: Sequence[str] | None = None,
        scores: np.ndarray | None = None,
        chrf: np.ndarray | None = None,
        tokens: Mapping[str, np.ndarray] | None = None,
        lengths: np.ndarray | None = None,
    ) -> None:
        """Add items: their ``bins`` (N, 3, B) as sums of count, confidence and hits, ``nll`` (N,), ``bleu`` (N, 10),
        ``text``, ``scores`` (N, S) and ``chrf`` (N,). ``tokens`` are columns of `TOKENS`, each (sum of ``lengths``,),
        item after item, of ``lengths`` (N,) tokens. The first call sets which columns there are."""
        items = Items(bins[:, 0].sum(axis=1), nll, bins, bleu, text, scores, chrf)
        table = _table(self._record, items, self._rows)
        if tokens is not None and lengths is not None:
            for name, values in tokens.items():
                table = table.append_column(name, _lists(values, lengths, _TYPES[name].value_type))
        self._rows += len(table)
        if self._file is None:
            self._file = _open(self._path, table.schema)
        self._file.write_table(table)

    def close(self) -> None:
        """End the file."""
        if self._file is not None:
            self._file.close()


def _open(path: Path, schema: pa.Schema) -> parquet.ParquetWriter:
    """A writer of items with these columns."""
    floats = [column for column in _FLOATS if column.split(".")[0] in schema.names]
    return parquet.ParquetWriter(
        path,
        schema.with_metadata({_SCHEMA_KEY: str(SCHEMA)}),
        compression="zstd",
        compression_level=15,
        use_dictionary=[name for name in _paths(schema) if name not in floats],
        use_byte_stream_split=floats,
    )


def _paths(schema: pa.Schema) -> list[str]:
    return [f"{field.name}.list.element" if pa.types.is_list(field.type) else field.name for field in schema]


def _table(record: str, items: Items, first: int = 0) -> pa.Table:
    """Items of a record as columns; the first of them has the number ``first``."""
    n = len(items.n)
    columns: dict[str, Any] = {"record": [record] * n, "item": first + np.arange(n), "n": items.n.astype(np.int64)}
    columns |= {"nll": items.nll, "text": items.text, "chrf": items.chrf}
    if items.bins is not None:
        columns |= _sparse(items.bins)
    if items.bleu is not None:
        columns["bleu"] = _lists(items.bleu.reshape(-1), np.full(n, items.bleu.shape[1]), pa.int32())
    if items.scores is not None:
        columns["scores"] = _lists(items.scores.reshape(-1), np.full(n, items.scores.shape[1]), pa.float32())
    return pa.table({name: pa.array(v, _TYPES[name]) for name, v in columns.items() if v is not None})


def write_items(path: Path, items: Mapping[str, Items]) -> None:
    """Write the items of several records, by name, to one file, which appears whole."""
    tables = [_table(name, of_record) for name, of_record in items.items()]
    table = pa.concat_tables(tables, promote_options="default")
    with written_whole(path) as aside, _open(aside, table.schema) as file:
        file.write_table(table)


@contextlib.contextmanager
def item_writers(records: Path, planned: Sequence[Record]) -> Iterator[list[ItemsWriter]]:
    """A writer for each of the records, beside the records file. The files appear whole when the block ends well."""
    with contextlib.ExitStack() as stack:
        paths = [stack.enter_context(written_whole(records.with_name(f"{one.name}.parquet"))) for one in planned]
        writers = [ItemsWriter(path, one.name) for path, one in zip(paths, planned, strict=True)]
        try:
            yield writers
        finally:
            for writer in writers:
                writer.close()


def _sparse(bins: np.ndarray) -> dict[str, pa.Array]:
    """The lists over the bins that are not empty, of sums (N, 3, B)."""
    item, place = np.nonzero(bins[:, 0])
    lengths = np.bincount(item, minlength=len(bins))
    values = (place, *(bins[item, row, place] for row in range(3)))
    return {name: _lists(v, lengths, _TYPES[name].value_type) for name, v in zip(_BINS, values, strict=True)}


def _lists(values: np.ndarray, lengths: np.ndarray, kind: pa.DataType) -> pa.ListArray:
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)
    return pa.ListArray.from_arrays(offsets, pa.array(values).cast(kind, safe=False))


def read_items(folder: Path, record: Record) -> Items | None:
    """The items of a record in ``folder``; None where it names none. Raises RecordError for a file that is missing,
    is not whole, is of another schema, or does not hold the record's items."""
    if record.items is None:
        return None
    path = folder / record.items
    try:
        stat = path.stat()
        table, rows = _opened(path, stat.st_mtime_ns, stat.st_size)
        if record.name not in rows:
            raise ValueError(f"it has no items of {record.name}")
        items = _items_of(table.slice(*rows[record.name]), len(record.bins.count))
        if len(items.n) != record.n_sentences and record.mode in ("forced", "beam", "images"):
            raise ValueError(f"{len(items.n)} items for the {record.n_sentences} of {record.name}")
    except FileNotFoundError:
        raise RecordError(
            f"{path}: missing; {record.name} needs it: copy it beside the records, or remove its record, and measure "
            "again"
        ) from None
    except UnicodeEncodeError:
        raise RecordError(f"{path}: a path that is not UTF-8, as Parquet files need it: rename the folder") from None
    except (OSError, ValueError, LookupError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise RecordError(f"{path}: cannot be read ({reason}): remove its record, and measure again") from None
    return items


def _items_of(part: pa.Table, n_bins: int) -> Items:
    return Items(
        _numbers(part, "n"),
        _numbers(part, "nll"),
        _dense(part, n_bins),
        _matrix(part, "bleu", 10),
        part["text"].to_pylist() if _has(part, "text") else None,
        _matrix(part, "scores", len(SCORES)),
        _numbers(part, "chrf"),
    )


@functools.lru_cache(maxsize=64)
def _opened(path: Path, changed: int, size: int) -> tuple[pa.Table, dict[str, tuple[int, int]]]:
    """The table of a file, and the first row and the number of rows of each record. ``changed`` and ``size`` tell one
    content of a file from another."""
    schema = parquet.read_schema(path)
    version = (schema.metadata or {}).get(_SCHEMA_KEY, b"none").decode()
    if version != str(SCHEMA):
        raise ValueError(f"its schema is {version}, and this version reads {SCHEMA}")
    names = [name for name in schema.names if name not in TOKENS]
    table = parquet.read_table(path, columns=names, memory_map=True).combine_chunks()
    runs = table["record"].combine_chunks().dictionary_encode()
    codes = runs.indices.to_numpy()
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    lengths = np.diff(np.append(starts, len(codes)))
    names = runs.dictionary.to_pylist()
    return table, {names[codes[s]]: (int(s), int(n)) for s, n in zip(starts, lengths, strict=True)}


def _has(part: pa.Table, name: str) -> bool:
    return name in part.column_names and part[name].null_count < len(part)


def _numbers(part: pa.Table, name: str) -> Any:
    return part[name].to_numpy().astype(float) if _has(part, name) else None


def _matrix(part: pa.Table, name: str, width: int) -> np.ndarray | None:
    if not _has(part, name):
        return None
    column = part[name].combine_chunks()
    if (column.value_lengths().to_numpy() != width).any():
        raise ValueError(f"{name} needs {width} numbers an item")
    return column.flatten().to_numpy().astype(float).reshape(len(part), width)


def _dense(part: pa.Table, n_bins: int = N_BINS) -> np.ndarray | None:
    if not _has(part, "bin"):
        return None
    place, *sums = (part[name].combine_chunks().flatten().to_numpy() for name in _BINS)
    lengths = part["bin"].combine_chunks().value_lengths().to_numpy()
    item = np.repeat(np.arange(len(part)), lengths)
    bins = np.zeros((len(part), 3, n_bins))
    for row, values in enumerate(sums):
        bins[item, row, place] = values
    return bins
