"""The table of recipes/benchmarks.json: time, memory and error of mt_ls beside those of stock tools."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .layout import markdown, text

RESULTS = Path(__file__).resolve().parents[2] / "recipes" / "benchmarks.json"
HEADER = ("benchmark", "case", "against", "ratio", "target", "mt_ls", "baseline", "unit")
Rows = Sequence[dict[str, Any]]


def results(path: Path = RESULTS) -> list[dict[str, Any]]:
    """The rows of a results file; none where there is no file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def table(rows: Rows) -> str:
    """Markdown of all rows but those of growth, which are a figure."""
    return markdown(HEADER, _cells([row for row in rows if row["benchmark"] != "growth"]))


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


def _target(row: dict[str, Any]) -> str:
    """For example "<= 0.50: reached"; empty for a row without a target."""
    if not row["target"]:
        return ""
    relation, bound = row["target"].split()
    is_reached = row["ratio"] <= float(bound) if relation == "<=" else row["ratio"] >= float(bound)
    return f"{row['target']}: {'reached' if is_reached else 'missed'}"
