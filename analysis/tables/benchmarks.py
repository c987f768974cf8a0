"""The table of recipes/benchmarks.json: time, memory and error of mt_ls beside those of stock tools."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from .layout import markdown, text

RESULTS = Path(__file__).resolve().parents[2] / "recipes" / "benchmarks.json"
HEADER = ("benchmark", "case", "against", "ratio", "target", "mt_ls", "baseline", "unit")
Row = dict[str, Any]
Rows = Sequence[Row]
Kind = Literal["cpu", "gpu"]


def results(path: Path = RESULTS) -> list[Row]:
    """The rows of a results file; none where there is no file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def kind(row: Row) -> Kind:
    """The kind of device that a row was measured on."""
    return "gpu" if row.get("gpu") else "cpu"


def replaced(old: Rows, new: Rows) -> list[Row]:
    """The new rows, and the old ones of other benchmarks or of the other kind of device."""
    again = {(row["benchmark"], kind(row)) for row in new}
    return [*(row for row in old if (row["benchmark"], kind(row)) not in again), *new]


def table(rows: Rows, of: Kind = "cpu") -> str:
    """Markdown of the rows of one kind of device with the devices' names, without growth, which is a figure."""
    chosen = [row for row in rows if kind(row) == of and row["benchmark"] != "growth"]
    if not chosen:
        return f"No benchmark was run on a {of.upper()}."
    devices = "; ".join(dict.fromkeys(row["device"] for row in chosen))
    return f"Measured on: {devices}.\n\n{markdown(HEADER, _cells(chosen))}"


def plain(rows: Rows) -> str:
    """All rows with aligned columns, for a terminal."""
    return text(HEADER, _cells(rows))


def _cells(rows: Rows) -> list[list[str]]:
    """A line for each row: the median ratio mt_ls / baseline with the least and the greatest, whether it reaches its
    target, and the median of both."""
    lines = []
    for row in rows:
        ratio = f"{row['ratio']:.3f}"
        if row["ratio_max"] > row["ratio_min"]:
            ratio += f" ({row['ratio_min']:.3f} to {row['ratio_max']:.3f})"
        values = (f"{value:,.0f}" if value >= 1000 else f"{value:.3g}" for value in (row["mt_ls"], row["baseline"]))
        lines.append([row["benchmark"], row["case"], row["against"], ratio, _target(row), *values, row["unit"]])
    return lines


def _target(row: Row) -> str:
    """For example "<= 0.50: reached"; empty for a row without a target."""
    if not row["target"]:
        return ""
    relation, bound = row["target"].split()
    is_reached = row["ratio"] <= float(bound) if relation == "<=" else row["ratio"] >= float(bound)
    return f"{row['target']}: {'reached' if is_reached else 'missed'}"
