"""Cost at large sizes: preparing millions of sentence pairs, and the report on thousands of records."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec
import pyarrow as pa
from harness import ROOT, Row, module, row, watched
from pyarrow import parquet

from mt_ls.records import Record, append, read
from mt_ls.records.items import PUBLISHED

PAIRS = (100_000, 1_000_000, 10_000_000)
RECORDS = (1_000, 10_000)


def benchmark() -> list[Row]:
    """Time a pair or a record, and peak memory, against the smallest size: a ratio of 1 is constant cost."""
    rows = []
    for name, noun, sizes, measure in (
        ("report", "records", RECORDS, _report),
        ("data preparation", "pairs", PAIRS, _prepare),
    ):
        costs = [measure(n) for n in sizes]
        for n, (duration, memory) in list(zip(sizes, costs, strict=True))[1:]:
            case, first = f"{name}, {n:,} {noun}", f"{sizes[0]:,} {noun}"
            each = [[1e6 * seconds / size] for seconds, size in ((duration, n), (costs[0][0], sizes[0]))]
            rows.append(row("scale", case, first, *each, f"µs a {noun[:-1]}", "<= 1.25", seconds=round(duration, 1)))
            target = "<= 1.25" if noun == "pairs" else None
            rows.append(row("scale", case, first, [memory], [costs[0][1]], "MB, peak memory", target))
    return rows


def _prepare(n: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        return watched(module("data_prep", "synthetic", "--pairs", n, "--out", f"{folder}/data"))


def _report(n: int) -> tuple[float, float]:
    """On about ``n`` records: whole copies of the published records of Multi30k, as if of other seeds."""
    published = ROOT / "recipes" / "multi30k" / "published"
    records, items = read(published / "records.jsonl"), parquet.read_table(published / PUBLISHED)
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder, "runs")
        for number in range(max(1, n // len(records))):
            _copy(records, items, runs / str(number), 1000 * number)
        return watched(module("analysis.report", runs, "--out", f"{folder}/out"))


def _copy(records: list[Record], items: pa.Table, folder: Path, first_seed: int) -> None:
    """Write the records and their items to a folder as those of seeds from ``first_seed`` on."""
    folder.mkdir(parents=True)
    names = {}
    for record in records:
        seed = first_seed + (record.seed or 0)
        sha = {**record.sha, "checkpoint": f"{seed:06x}" + record.sha["checkpoint"][6:]}
        copy = msgspec.structs.replace(record, seed=seed, run=f"{record.run}_{seed}", sha=sha)
        names[record.name] = copy.name
        append(folder / "records.jsonl", copy)
    renamed = items["record"].combine_chunks().dictionary_encode()
    column = pa.DictionaryArray.from_arrays(renamed.indices, [names[old] for old in renamed.dictionary.to_pylist()])
    place = items.column_names.index("record")
    parquet.write_table(items.set_column(place, "record", column.cast(pa.string())), folder / PUBLISHED)
