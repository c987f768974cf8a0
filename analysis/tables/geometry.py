"""Penultimate activations in numbers: the paper's Figures 1 and 7."""

from __future__ import annotations

from ..quantities import number
from ..rows import mean
from ..study import Study
from .layout import Table

HEADER = ("model", "split", "within", "between", "own distance", "spread of others", "NC1", "NC2 norms", "NC2 angles")
FIELDS = (
    "variance_within",
    "variance_between",
    "distance_to_own",
    "spread_of_others",
    "nc1",
    "nc2_norms",
    "nc2_angles",
)


def table(study: Study) -> Table:
    """A line for each model and split: means over seeds."""
    mode = "images" if study.is_of_images else "activations"
    cells = []
    for entry in study.untaught:
        for split in ("train", "valid"):
            rows = entry.select(mode=mode, split=split, temperature=1.0)
            values = [row.record.geometry for row in rows if row.record.geometry]
            if values:
                architecture = str(entry.model.architecture)
                named = entry.label if architecture in entry.label else f"{architecture}, {entry.label}"
                numbers = (number(mean(one.get(field) for one in values), 3) for field in FIELDS)
                cells.append([named, split, *numbers])
    figure, of = ("Figure 1", "all classes") if study.is_of_images else ("Figure 7", "three pieces of the target")
    return Table(
        "geometry",
        f"Geometry of penultimate activations ({figure} in numbers)",
        f"Of {of}. Variances are traces of covariances; the spread of distances to other templates is relative to "
        "their mean; NC1 and NC2 as in Papyan et al. (2020): 0 is collapse. Means over seeds.",
        HEADER,
        sorted(cells),
    )
