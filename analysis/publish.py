"""python -m analysis.publish RUNS... --out recipes/NAME: the records of finished runs and what their intervals need.

Beside the records go the sums of each sentence and hypotheses, on test for every record, on any other split for T = 1
and the fitted temperature; the sums of each image, of which there are many, only on test at these two; and planes of
activations. The values of each token stay behind. What is there already is replaced whole; name --out among the inputs
too to add to it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from mt_ls.records.record import Measurement, RecordError, written_whole

from . import rows as table
from .rows import Row

_SUMS = ("sentence_bins", "sentence_nll", "sentence_bleu", "text")
_PLANES = "plane_"


def main(arguments: list[str] | None = None) -> int:
    """Publish; 0, or 2 with one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m analysis.publish", description=__doc__)
    parser.add_argument("records", nargs="+", help="records files, or folders that hold them")
    parser.add_argument("--out", type=Path, required=True, help="the recipe's folder")
    options = parser.parse_args(arguments)
    try:
        rows = table.load(options.records)
        publish(rows, options.out)
    except (RecordError, OSError) as error:
        print(f"analysis.publish: error: {error}", file=sys.stderr)
        return 2
    print(f"{len(rows)} records published in {options.out}")
    return 0


def publish(rows: list[Row], out: Path) -> None:
    """Write ``records.jsonl`` and the arrays. Raises RecordError for a record whose code is in no commit or whose
    arrays are gone."""
    for row in rows:
        if row.record.sha["code"].endswith("+dirty"):
            raise RecordError(f"{row.record.signature}: measured with uncommitted code; commit and measure again")
    published = {Path("records.jsonl")}
    for row in rows:
        record = row.record
        wanted = _wanted(record)
        if record.arrays and wanted:
            if not (row.folder / record.arrays).is_file():
                raise RecordError(f"{row.folder / record.arrays}: missing; {record.signature} needs it: measure again")
            with np.load(row.folder / record.arrays) as arrays:
                kept = {name: arrays[name] for name in arrays if name.startswith(wanted)}
            published.add(Path(record.arrays))
            with written_whole(out / record.arrays) as path, open(path, "wb") as file:
                np.savez_compressed(file, **kept)
    with written_whole(out / "records.jsonl") as path:
        ordered = sorted(rows, key=_order)
        path.write_text("".join(row.record.to_json() + "\n" for row in ordered), encoding="utf-8")
    for stale in out.glob("*.npz"):
        if stale.relative_to(out) not in published:
            stale.unlink()


def _wanted(record: Measurement) -> tuple[str, ...]:
    """How the names of the arrays begin that are published with a record."""
    chosen = record.temperature in (1.0, record.fitted_temperature)
    if record.mode == "images":
        sums = _SUMS if record.split == "test" and chosen else ()
        return (*sums, _PLANES) if sums or (record.geometry or {}).get("planes") else ()
    return (*_SUMS, _PLANES) if record.split == "test" or chosen else ()


def _order(row: Row) -> tuple[str, str, str, float]:
    record = row.record
    return record.run, record.split, record.mode, record.temperature


if __name__ == "__main__":
    sys.exit(main())
