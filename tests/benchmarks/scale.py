"""Towards the size to come: preparing millions of sentence pairs, and the report on thousands of records."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from harness import ROOT, Row, row, watched

PAIRS = (100_000, 1_000_000, 10_000_000)
RECORDS = (1_000, 10_000)


def benchmark() -> list[Row]:
    """Time a pair or a record, and peak memory, against the smallest size: 1 is constant."""
    rows = []
    for name, what, sizes, measure in (
        ("report", "records", RECORDS, _report),
        ("data preparation", "pairs", PAIRS, _prepare),
    ):
        found = [measure(n) for n in sizes]
        for n, (duration, memory) in list(zip(sizes, found, strict=True))[1:]:
            case, first = f"{name}, {n:,} {what}", f"{sizes[0]:,} {what}"
            each = [[1e6 * seconds / size] for seconds, size in ((duration, n), (found[0][0], sizes[0]))]
            rows.append(row("scale", case, first, *each, f"µs a {what[:-1]}", "<= 1.25", seconds=round(duration, 1)))
            target = "<= 1.25" if what == "pairs" else None
            rows.append(row("scale", case, first, [memory], [found[0][1]], "MB, peak memory", target))
    return rows


def _prepare(n: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        return watched([sys.executable, "-m", "data_prep", "synthetic", "--pairs", str(n), "--out", f"{folder}/data"])


def _report(n: int) -> tuple[float, float]:
    """On as many whole copies of the published records of Multi30k as make about ``n``, as if of other seeds."""
    published = ROOT / "recipes" / "multi30k"
    lines = [json.loads(line) for line in (published / "records.jsonl").read_text(encoding="utf-8").splitlines()]
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder, "runs")
        runs.mkdir()
        for arrays in published.glob("*.npz"):
            (runs / arrays.name).symlink_to(arrays)
        numbers = range(max(1, n // len(lines)))
        copies = (_as_of_seed(fields, 1000 * number + fields["seed"]) for number in numbers for fields in lines)
        with open(runs / "records.jsonl", "w", encoding="utf-8") as file:
            file.writelines(json.dumps(fields) + "\n" for fields in copies)
        return watched([sys.executable, "-m", "analysis.report", str(runs), "--out", f"{folder}/out"])


def _as_of_seed(fields: dict[str, Any], seed: int) -> dict[str, Any]:
    sha = {**fields["sha"], "checkpoint": f"{seed:06x}" + fields["sha"]["checkpoint"][6:]}
    return {**fields, "seed": seed, "run": f"{fields['run']}_{seed}", "sha": sha}
