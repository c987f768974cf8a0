"""Penultimate activations in numbers: the paper's Figures 1 and 7."""

from __future__ import annotations

from typing import Any

from ..quantities import number, trace_ratio
from ..rows import mean
from ..study import Study
from .layout import Table

FIELDS = {
    "variance_within": "within",
    "variance_between": "between",
    "distance_to_own": "own distance",
    "spread_of_others": "spread of others",
    "spread_of_wrong_logits": "wrong logits",
    "nc1": "NC1",
    "nc2_norms": "NC2 norms",
    "nc2_angles": "NC2 angles",
    "class_separation": "separation",
    "triangle_projected": "triangles on planes",
    "triangle_means": "of means",
    "triangle_templates": "of templates",
}
"""The numbers of a record's geometry, and their names in the table."""


def table(study: Study) -> Table:
    """A line for each model and split: means over seeds. A number that no record has gets no column."""
    mode = "images" if study.is_of_images else "activations"
    lines = []
    for entry in study.untaught:
        for split in ("train", "valid"):
            rows = entry.select(mode=mode, split=split, temperature=1.0)
            values = [row.record.geometry for row in rows if row.record.geometry]
            if values:
                architecture = str(entry.model.architecture)
                named = entry.label if architecture in entry.label else f"{architecture}, {entry.label}"
                lines.append((named, split, _columns(values)))
    known = [name for name in _columns([]) if any(columns[name] for *_, columns in lines)]
    figure, of = ("Figure 1", "all classes") if study.is_of_images else ("Figure 7", "three pieces of the target")
    return Table(
        "geometry",
        f"Geometry of penultimate activations ({figure} in numbers)",
        f"Of {of}. Variances are traces of covariances; the spread of distances to other templates is relative to "
        "their mean, that of the wrong logits to their distance to the right one; NC1 and NC2 as in Papyan et al. "
        "(2020): 0 is collapse; separation as in Kornblith et al. (2021): 1 is collapse; triangles of three classes: "
        "0 is regular. Means over seeds.",
        ("model", "split", *known),
        sorted([name, split, *(columns[field] for field in known)] for name, split, columns in lines),
    )


def _columns(values: list[dict[str, Any]]) -> dict[str, str]:
    """The cells of a line by the names of their columns: means of the ``values`` of several seeds, empty for none."""
    columns = {}
    for field, name in FIELDS.items():
        columns[name] = number(mean(one.get(field) for one in values), 3)
        if field == "variance_between":
            columns["within / between"] = number(mean(map(trace_ratio, values)), 3)
    return columns
