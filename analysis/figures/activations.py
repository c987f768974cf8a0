"""Penultimate activations on the plane of three templates: the paper's Figures 1 (classifiers) and 7 (translation)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from ..rows import Row
from ..study import Entry, Study
from . import layout
from .colours import BLUE, GREEN, RED
from .layout import Drawing

Classes = tuple[str, ...]


class Panel(NamedTuple):
    """One model on one split, and the label of its comparison."""

    entry: Entry
    row: Row
    comparison: str


def drawing(study: Study) -> Drawing:
    """A line of panels for each network and plane, without and with smoothing, train and valid."""
    if study.is_of_images:
        of_paper = "Figure 1"
        how = (
            "Activations of a hundred images of each of three classes, on the plane through the three templates, with "
            "the origin at their mean. With smoothing clusters should be tight, and the scale smaller. One seed."
        )
        paper = "broad clusters become tight, the three classes form a regular triangle."
    else:
        of_paper = "Figure 7"
        how = (
            "What the decoder has before each of a hundred tokens of three pieces, on the plane through their three "
            "templates, origin at the mean of these. With smoothing clusters should be tight. One seed."
        )
        paper = "clusters are tighter with smoothing, the templates' scale smaller."
    return Drawing("penultimate", "Penultimate activations", of_paper, how, paper, figure(study))


def figure(study: Study) -> Figure | None:
    """None where no pair of models was measured on train and valid, with the same least seed. The two panels of a model
    share a scale."""
    lines = _lines(study)
    if not lines:
        return None
    fig = layout.blank(width=10, height=3 * len(lines))
    for (classes, panels), part in zip(lines, fig.subfigures(len(lines), squeeze=False)[:, 0], strict=True):
        axes = part.subplots(1, 4)
        for axis, panel in zip(axes, panels, strict=True):
            axis.set_title(layout.wrapped(_title(panel, len(lines) > 1), inches=10 / 4))
        for first in (0, 2):  # the panels of one model
            pairs = zip(axes[first : first + 2], panels[first : first + 2], strict=True)
            reach = 1.1 * max(_draw(axis, panel, classes) for axis, panel in pairs)
            for axis in axes[first : first + 2]:
                axis.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
                axis.locator_params(nbins=4)  # whatever the size, so that the layout has the labels that are drawn
        layout.legend(part, dict(zip(map(_printed, classes), axes[0].collections, strict=True)))
    layout.sign(fig, [panel.row for _, panels in lines for panel in panels])
    return fig


def _lines(study: Study) -> list[tuple[Classes, list[Panel]]]:
    seed = min((row.record.seed or 0 for row in study.rows if (row.record.geometry or {}).get("planes")), default=0)
    mode = "images" if study.is_of_images else "activations"
    lines = []
    for pair in study.pairs:
        panels = [
            Panel(entry, rows[-1], study.shared_label(entry))
            for entry in pair
            for split in ("train", "valid")
            if (rows := entry.select(mode=mode, split=split, temperature=1.0, seed=seed))
        ]
        if len(panels) == 4:
            planes = [_planes(panel.row) for panel in panels]
            common = [classes for classes in planes[0] if all(classes in of for of in planes)]
            lines += [(classes, panels) for classes in common]
    return lines


def _planes(row: Row) -> dict[Classes, np.ndarray]:
    """The points (N, 3) of each plane that was recorded, by its classes: x, y and which class."""
    planes = (row.record.geometry or {}).get("planes", [])
    return {tuple(plane["classes"]): np.reshape(plane["points"], (-1, 3)) for plane in planes}


def _draw(axis: Any, panel: Panel, classes: Classes) -> float:
    """Draw one panel; the greatest coordinate of its points."""
    points = _planes(panel.row)[classes]
    for rank, (marker, colour) in enumerate(zip("so^", (RED, BLUE, GREEN), strict=True)):
        of_class = points[points[:, 2] == rank]
        axis.scatter(*of_class[:, :2].T, s=7, color=colour, marker=marker, linewidths=0)
    return float(np.abs(points[:, :2]).max(initial=1e-9))


def _title(panel: Panel, named: bool) -> str:
    comparison = f"{panel.comparison}, " if named and panel.comparison else ""
    return f"{comparison}α = {panel.entry.amount:g}, {panel.row.record.split}"


def _printed(name: str) -> str:
    """A class's name without SentencePiece's mark of a word's start."""
    return name.lstrip("▁")
