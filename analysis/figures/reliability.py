"""The paper's Figures 2 and 3: reliability of classifiers and of next-token predictions, with counts and intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import paper
from ..quantities import ECE, number
from ..rows import Row, at_fitted, mean, pooled, select
from ..significance import wilson
from ..study import Entry, Study
from . import layout
from .colours import FAINT
from .layout import Drawing, Look

HARD, SCALED, SMOOTHED = "hard targets", "hard + temperature", "label smoothing 0.1"
AT_ONE, FITTED = "T = 1", "fitted"
_OF = {
    "images": ("network", ""),
    "forced": ("model", " of next-token predictions"),
    "beam": ("system", " of translations"),
}
"""By mode: who predicts, and the predictions in a title."""
Diagrams = dict[str, tuple[Entry, Sequence[Row]]]
"""The entry and the rows of each diagram of one line, by its title."""


class Cell(NamedTuple):
    """A diagram: its heading, the rows that it pools, and its look."""

    heading: str
    rows: Sequence[Row]
    look: Look


def drawing(study: Study) -> Drawing:
    """A diagram each for no smoothing, its fitted temperature, and smoothing 0.1; by run, each at T = 1 and fitted."""
    of_images = study.is_of_images
    baseline, scaled, smoothed = (paper.CALIBRATION_IMAGES[0] if of_images else paper.CALIBRATION_TRANSLATION)[1:]
    ece_at_t, temperature = scaled.split(" / ")
    ece_smoothed, alpha = smoothed.split(" / ")
    what, of = _OF[study.main_mode]
    return Drawing(
        "reliability",
        f"Reliability{of}",
        "Figure 2" if of_images else "Figure 3",
        "Each point is a bin of predictions: their mean confidence, and the share that is right, with its 95 % "
        f"interval. Below the dashed line the {what} is over-confident. The bars count the {units(study)}. "
        "Bins of several training seeds are pooled, numbers are means.",
        f"ECE of ResNet-56 on CIFAR-100: {baseline}, at T = {temperature} {ece_at_t}, with smoothing {alpha} "
        f"{ece_smoothed} (Table 3)."
        if of_images
        else f"ECE {baseline} with hard targets, {ece_at_t} at T = {temperature}, {ece_smoothed} with smoothing "
        f"{alpha} (Table 3).",
        figure(study),
        study.split,
    )


def units(study: Study) -> str:
    """The units that the bins count: images, words, or tokens of subwords."""
    return "images" if study.is_of_images else "words" if study.rows[0].record.unit == "word" else "tokens"


def figure(study: Study) -> Figure | None:
    """None if nothing was measured."""
    cells = _cells(study)
    if not cells:
        return None
    n_columns = len(cells[0])
    fig, grid = layout.new(
        2 * len(cells),
        n_columns,
        width=layout.PANEL * n_columns,
        height=4.4 * len(cells),
        height_ratios=(3, 1) * len(cells),
        sharex=True,
    )
    for line, (tops, bottoms) in zip(cells, np.reshape(grid, (len(cells), 2, n_columns)), strict=True):
        for cell, top, bottom in zip(line, tops, bottoms, strict=True):
            if cell is None:
                top.set_axis_off()
                bottom.set_axis_off()
            else:
                _draw(top, bottom, cell)
        tops[0].set_ylabel("accuracy")
        bottoms[0].set_ylabel(units(study))
    layout.sign(fig, [row for line in cells for cell in line if cell is not None for row in cell.rows])
    return fig


def _cells(study: Study) -> list[list[Cell | None]]:
    """The diagrams in lines of one length. Runs of which each has one diagram share lines of three."""
    lines = [panels for panels in _lines(study) if panels]
    drawn = {title for panels in lines for title in panels}
    titles = [title for title in (HARD, SCALED, SMOOTHED, AT_ONE, FITTED) if title in drawn]
    named = len(lines) > 1 or study.by == "run"
    cells = [[_cell(study, panels, title, named) for title in titles] for panels in lines]
    if len(titles) != 1:
        return cells
    columns = min(3, len(cells))
    alone = [cell for line in cells for cell in line] + [None] * (-len(cells) % columns)
    return [alone[start : start + columns] for start in range(0, len(alone), columns)]


def _cell(study: Study, panels: Diagrams, title: str, named: bool) -> Cell | None:
    """The diagram with this title, ``named`` after its run or its comparison; None if it was not measured."""
    if title not in panels:
        return None
    entry, rows = panels[title]
    in_line = list({entry.label: entry for entry, _ in panels.values()}.values())
    looks = layout.looks(study.entries if study.by == "run" else in_line, study.by)
    name = entry.label if study.by == "run" else study.shared_label(entry)
    heading = layout.wrapped(f"{name}, {title}" if named else title, layout.PANEL)
    return Cell(heading, rows, looks[entry.label])


def _lines(study: Study) -> list[Diagrams]:
    """The diagrams of each line: of a model with hard targets and its smoothed one, or of a run."""

    def rows(entry: Entry | None) -> list[Row]:
        return [] if entry is None else entry.select(split=study.split, mode=study.main_mode)

    def panels(of: Sequence[tuple[str, Entry | None, list[Row]]]) -> Diagrams:
        return {title: (entry, chosen) for title, entry, chosen in of if entry is not None and chosen}

    if study.by == "run":
        return [
            panels([(AT_ONE, e, select(rows(e), temperature=1.0)), (FITTED, e, at_fitted(rows(e)))])
            for e in study.entries
        ]
    return [
        panels(
            [
                (HARD, hard, select(rows(hard), temperature=1.0)),
                (SCALED, hard, at_fitted(rows(hard))),
                (SMOOTHED, smoothed, select(rows(smoothed), temperature=1.0)),
            ]
        )
        for hard, smoothed in study.comparisons
    ]


def _draw(top: Axes, bottom: Axes, cell: Cell) -> None:
    """One diagram, and below it how many predictions each bin has."""
    title, rows, look = cell
    temperature = mean(row.record.temperature for row in rows)
    bins = pooled(rows)
    confidence, accuracy, count = bins.curve()
    low, high = wilson(accuracy * count, count)
    bars = np.maximum(accuracy - low, 0), np.maximum(high - accuracy, 0)
    top.plot([0, 1], [0, 1], color=FAINT, lw=1, ls="--")
    drawn = top.errorbar(confidence, accuracy, bars, color=look.colour, marker=look.marker, ms=3.5, lw=1)
    drawn[0].set_clip_on(False)  # marks at 0 and 1 are drawn whole
    top.set(title=f"{title}\nT = {number(temperature, 2)}, ECE {ECE.text(ECE.mean(rows), 3)}", ylim=(0, 1), xlim=(0, 1))
    middles, widths = (bins.edges[:-1] + bins.edges[1:]) / 2, np.diff(bins.edges)
    bottom.bar(middles, bins.count, 0.9 * widths, color=FAINT)
    bottom.set(xlabel="confidence")
    bottom.tick_params(labelbottom=True)  # which a shared axis keeps for the last line of panels
    bottom.ticklabel_format(axis="y", style="sci", scilimits=(0, 3))
