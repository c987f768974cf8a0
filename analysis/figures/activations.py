"""Penultimate activations on the plane of three templates: the paper's Figures 1 (classifiers) and 7 (translation)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from scipy.linalg import orthogonal_procrustes

from ..quantities import number
from ..rows import Row
from ..study import Entry, Study
from . import layout
from .colours import AMBER, BLACK, FAINT, PURPLE, SKY
from .layout import Drawing
from .signatures import Signed

Classes = tuple[str, ...]
_SPLITS = ("train", "valid")
_CLASSES = (("s", AMBER), ("o", SKY), ("^", PURPLE))
"""Marker and colour of each class: none is the colour of a model without smoothing or with 0.1."""
_ENLARGED = 1.25
"""The plane of a model is shown a second time, enlarged, from this ratio of the two models' scales on."""


class Plane(NamedTuple):
    """``points`` (N, 2) of three classes, the ``ranks`` (N,) of their classes, and the ``templates`` (3, 2), or (0, 2)
    where they were not recorded."""

    points: np.ndarray
    ranks: np.ndarray
    templates: np.ndarray

    @property
    def class_means(self) -> np.ndarray:
        """(3, 2)."""
        return np.stack([self.points[self.ranks == rank].mean(axis=0) for rank in range(3)])

    @property
    def reach(self) -> float:
        """The greatest coordinate of points and templates."""
        return float(np.abs(np.concatenate((self.points, self.templates))).max(initial=1e-9))

    def turned(self, rotation: np.ndarray) -> Plane:
        """The plane in a basis turned (and mirrored) by an orthogonal matrix (2, 2)."""
        return self._replace(points=self.points @ rotation, templates=self.templates @ rotation)


@dataclass(frozen=True)
class Side:
    """A model on one plane: its planes, and its record of the drawn seed, by split."""

    entry: Entry
    rows: Mapping[str, Row]
    planes: Mapping[str, Plane]

    @property
    def reach(self) -> float:
        """The greatest coordinate on any split."""
        return max(plane.reach for plane in self.planes.values())

    def aligned_to(self, other: Side) -> Side:
        """The side turned and mirrored so that its class means on train lie on those of another, as nearly as they can:
        the basis of a plane is arbitrary in each model (orthogonal Procrustes, Schönemann 1966)."""
        rotation, _ = orthogonal_procrustes(self.planes["train"].class_means, other.planes["train"].class_means)
        return Side(self.entry, self.rows, {split: plane.turned(rotation) for split, plane in self.planes.items()})


class Line(NamedTuple):
    """A network without and with smoothing, on the plane of three classes."""

    classes: Classes
    hard: Side
    smoothed: Side


def drawing(study: Study) -> Drawing:
    """A block of panels for each network and plane: without and with smoothing, on train and on valid."""
    if study.is_of_images:
        of_paper, what = "Figure 1", "Activations of a hundred images of each of three classes"
        paper = "broad clusters become tight, the three classes form a regular triangle."
    else:
        of_paper, what = "Figure 7", "What the decoder has before each of a hundred tokens of three pieces"
        paper = "clusters are tighter with smoothing, the templates' scale smaller."
    how = (
        f"{what}, on the plane through their three templates (stars, where they were recorded), origin at the mean of "
        "these. Both models share a scale, and are turned so that their class means agree; the smaller one is shown "
        "again, enlarged. Points are of one seed. nc1, the variance within classes over that between them, of all "
        "classes, is a mean over seeds with the least and the greatest: with smoothing it should be smaller. Colours "
        "are classes here."
    )
    return Drawing("penultimate", "Penultimate activations", of_paper, how, paper, figure(study))


def _network(study: Study, hard: Entry) -> str:
    """The label of a comparison, or the architecture of the only one."""
    return study.shared_label(hard) or str(hard.model.architecture or "")


def figure(study: Study) -> Signed | None:
    """None where no pair of models was measured on train and valid, with the same least seed."""
    lines = _lines(study)
    if not lines:
        return None
    fig = layout.blank(width=layout.width_of(2), height=3.6 * len(lines))
    for line, part in zip(lines, fig.subfigures(len(lines), squeeze=False)[:, 0], strict=True):
        grid = part.subplots(2, 3, sharex="col", sharey="col")
        for split, axes in zip(_SPLITS, grid, strict=True):
            _draw_split(axes, line, split)
        part.supxlabel("first direction of the plane", fontsize=9)
        part.supylabel("second direction of the plane", fontsize=9)
        layout.legend(part, _legend(line), _network(study, line.hard.entry))
    sides = [side for line in lines for side in line[1:]]
    layout.sign(
        fig, [row for side in sides for split in _SPLITS for row in _measured(side.entry, split)], of_bins=False
    )
    return fig


def _lines(study: Study) -> list[Line]:
    seed = min((row.record.seed or 0 for row in study.rows if (row.record.geometry or {}).get("planes")), default=0)
    mode = "images" if study.is_of_images else "activations"
    lines = []
    for pair in study.pairs:
        rows = [_by_split(entry, mode, seed) for entry in pair]
        if all(len(of_entry) == len(_SPLITS) for of_entry in rows):
            planes = [[_planes(row) for row in of_entry.values()] for of_entry in rows]
            common = [
                classes for classes in planes[0][0] if all(classes in of for of_entry in planes for of in of_entry)
            ]
            for classes in common:
                hard, smoothed = (_side(entry, of, classes) for entry, of in zip(pair, rows, strict=True))
                lines.append(Line(classes, hard, smoothed.aligned_to(hard)))
    return lines


def _by_split(entry: Entry, mode: str, seed: int) -> dict[str, Row]:
    found = {split: entry.select(mode=mode, split=split, temperature=1.0, seed=seed) for split in _SPLITS}
    return {split: rows[-1] for split, rows in found.items() if rows}


def _side(entry: Entry, rows: Mapping[str, Row], classes: Classes) -> Side:
    return Side(entry, rows, {split: _planes(row)[classes] for split, row in rows.items()})


def _planes(row: Row) -> dict[Classes, Plane]:
    """The planes that were recorded with points of all three classes, by these."""
    planes = {}
    for recorded in (row.record.geometry or {}).get("planes", []):
        points = np.reshape(recorded["points"], (-1, 3))
        if len(np.unique(points[:, 2])) == 3:
            templates = np.reshape(recorded.get("templates", []), (-1, 2))
            planes[tuple(recorded["classes"])] = Plane(points[:, :2], points[:, 2], templates)
    return planes


def _draw_split(axes: Sequence[Axes], line: Line, split: str) -> None:
    """Draw both models on one scale, and beside them the smaller one enlarged."""
    reach = 1.1 * max(line.hard.reach, line.smoothed.reach)
    least = min((line.hard, line.smoothed), key=lambda side: side.reach)
    for axis, side in zip(axes, (line.hard, line.smoothed), strict=False):
        _draw(axis, side.planes[split], reach)
        axis.set_title(f"{_name(side)}, {split}\n{_nc1(side.entry, split)}", fontsize=8)
    if reach / (1.1 * least.reach) < _ENLARGED:
        axes[2].set_axis_off()
        return
    near = 1.1 * least.reach
    _draw(axes[2], least.planes[split], near)
    axes[2].set_title(f"{_name(least)}, {split}\n{reach / near:.1f} times enlarged", fontsize=8)
    shown = axes[0] if least is line.hard else axes[1]
    shown.add_patch(Rectangle((-near, -near), 2 * near, 2 * near, fill=False, edgecolor=FAINT, lw=0.8))
    for spine in axes[2].spines.values():
        spine.set(visible=True, color=FAINT)


def _draw(axis: Axes, plane: Plane, reach: float) -> None:
    """Draw one panel, from -reach to reach."""
    for rank, (marker, colour) in enumerate(_CLASSES):
        of_class = plane.points[plane.ranks == rank]
        axis.scatter(of_class[:, 0], of_class[:, 1], s=6, color=colour, marker=marker, linewidths=0, alpha=0.7)
        for x, y in plane.templates[rank : rank + 1]:
            axis.plot([x], [y], marker="*", ms=9, mfc=colour, mec=BLACK, mew=0.6)
    axis.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    axis.locator_params(nbins=3)  # whatever the size, so that the layout has the labels that are drawn


def _name(side: Side) -> str:
    return f"α = {side.entry.amount:g}"


def _measured(entry: Entry, split: str) -> list[Row]:
    """The rows of every seed whose geometry was measured."""
    return [row for row in entry.select(split=split, temperature=1.0) if row.record.geometry]


def _nc1(entry: Entry, split: str) -> str:
    """nc1 as a mean over seeds, with the least and the greatest; empty where it was not measured."""
    geometries = [row.record.geometry or {} for row in _measured(entry, split)]
    values = [geometry["nc1"] for geometry in geometries if "nc1" in geometry]
    if not values:
        return ""
    mean, low, high = (number(float(of(values)), 2 if max(values) < 10 else 1) for of in (np.mean, min, max))
    return f"nc1 {mean} [{low}, {high}]" if len(values) > 1 else f"nc1 {mean}"


def _legend(line: Line) -> dict[str, Any]:
    """The looks of the classes by their names, and of templates where there are any."""
    handles = {
        _printed(name): layout.handle(color=colour, marker=marker, ms=3, ls="none")
        for name, (marker, colour) in zip(line.classes, _CLASSES, strict=True)
    }
    if any(len(plane.templates) for side in line[1:] for plane in side.planes.values()):
        handles["template"] = layout.handle(color=BLACK, marker="*", mfc="none", ms=6, ls="none")
    return handles


def _printed(name: str) -> str:
    """A class's name without SentencePiece's mark of a word's start."""
    return name.lstrip("▁")
