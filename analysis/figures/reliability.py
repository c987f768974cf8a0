"""The paper's Figures 2 and 3: reliability of classifiers and of next-token predictions, with counts and intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from .. import paper
from ..quantities import ECE, number
from ..rows import Row, at_fitted, mean, select
from ..significance import wilson
from ..study import Entry, Study
from . import layout, spread
from .colours import BLACK, FAINT, WHITE
from .layout import Drawing, Look
from .signatures import Signed

HARD, SCALED, SMOOTHED = "α = 0", "α = 0, fitted T", "α = 0.1"
AT_ONE, FITTED = "T = 1", "fitted T"
FEW = 10
"""Bins of fewer predictions are faded."""
_OF = {
    "images": ("network", ""),
    "forced": ("model", " of next-token predictions"),
    "beam": ("system", " of translations"),
}
"""By mode: who predicts, and the predictions in a title."""


class Curve(NamedTuple):
    """A curve of a diagram: its title, its rows, one a seed, and its look; that of a fitted temperature is open."""

    title: str
    rows: Sequence[Row]
    look: Look

    @property
    def is_open(self) -> bool:
        """Whether it is that of a fitted temperature."""
        return self.title in (SCALED, FITTED)


class Diagram(NamedTuple):
    """The curves of a model with hard targets and its smoothed one, or of a run. Its name is empty for the only one."""

    name: str
    curves: Sequence[Curve]


class Means(NamedTuple):
    """Of each bin that is not empty the mean over seeds of confidence, accuracy and count, and ends of the bar of
    accuracy."""

    confidence: np.ndarray
    accuracy: np.ndarray
    counts: np.ndarray
    low: np.ndarray
    high: np.ndarray


def drawing(study: Study) -> Drawing:
    """A diagram a network or run: no smoothing, its fitted temperature, and smoothing 0.1; by run T = 1 and fitted."""
    of_images = study.is_of_images
    baseline, scaled, smoothed = (paper.CALIBRATION_IMAGES[0] if of_images else paper.CALIBRATION_TRANSLATION)[1:]
    ece_at_t, temperature = scaled.split(" / ")
    ece_smoothed, alpha = smoothed.split(" / ")
    what, of = _OF[study.main_mode]
    return Drawing(
        "reliability",
        f"Reliability{of}",
        "Figure 2" if of_images else "Figure 3",
        f"Each point is a bin of {units(study)}: their mean confidence, and the share that is right. Points, counts "
        "and numbers are means over training seeds, bars reach from the least to the greatest; of one seed they are "
        f"95 % intervals (Wilson), as if {units(study)} were independent. Below the dashed line the {what} is "
        f"over-confident. The lower panel counts the {units(study)} of a bin; bins of fewer than {FEW} are faded.",
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


def figure(study: Study) -> Signed | None:
    """None if nothing was measured."""
    diagrams = _diagrams(study)
    if not diagrams:
        return None
    columns = min(2, len(diagrams))
    lines = -(-len(diagrams) // columns)
    width = layout.width_of(columns)
    fig, grid = layout.new(
        2 * lines, columns, width=width, height=3.9 * lines, height_ratios=(5, 2) * lines, sharex=True
    )
    pairs = np.reshape(grid, (lines, 2, columns)).swapaxes(1, 2)
    for place, (top, bottom) in enumerate(pairs.reshape(-1, 2)):
        if place < len(diagrams):
            _draw(top, bottom, diagrams[place], width / columns)
        else:
            top.set_axis_off()
            bottom.set_axis_off()
    for top, bottom in pairs[:, 0]:
        top.set_ylabel("accuracy")
        bottom.set_ylabel(f"{units(study)}\n(log scale)")
    rows = [row for diagram in diagrams for curve in diagram.curves for row in curve.rows]
    of_most_seeds = max((curve.rows for diagram in diagrams for curve in diagram.curves), key=len)
    layout.legend(fig, _legend(diagrams) | spread.bar(of_most_seeds))
    layout.sign(fig, rows)
    return fig


def _diagrams(study: Study) -> list[Diagram]:
    """The diagrams of the study that have a curve."""

    def rows(entry: Entry | None) -> list[Row]:
        return [] if entry is None else entry.select(split=study.split, mode=study.main_mode)

    def curves(looks: dict[str, Look], of: Sequence[tuple[str, Entry | None, list[Row]]]) -> list[Curve]:
        return [Curve(title, chosen, looks[entry.label]) for title, entry, chosen in of if entry is not None and chosen]

    diagrams = []
    if study.by == "run":
        looks = layout.looks(study.entries, "run")
        for entry in study.entries:
            at_one, fitted = select(rows(entry), temperature=1.0), at_fitted(rows(entry))
            diagrams.append(Diagram(entry.label, curves(looks, [(AT_ONE, entry, at_one), (FITTED, entry, fitted)])))
        return [diagram for diagram in diagrams if diagram.curves]
    for pair in study.comparisons:
        hard, smoothed = pair
        looks = layout.looks([entry for entry in pair if entry is not None])
        drawn = [
            (HARD, hard, select(rows(hard), temperature=1.0)),
            (SCALED, hard, at_fitted(rows(hard))),
            (SMOOTHED, smoothed, select(rows(smoothed), temperature=1.0)),
        ]
        name = study.shared_label(next(entry for entry in pair if entry is not None))
        diagrams.append(Diagram(name, curves(looks, drawn)))
    diagrams = [diagram for diagram in diagrams if diagram.curves]
    return diagrams if len(diagrams) > 1 else [diagram._replace(name="") for diagram in diagrams]


def means(rows: Sequence[Row]) -> Means:
    """The bins of rows, one a seed, each bin as the mean over the seeds that have a prediction in it.

    The bars reach from the least to the greatest seed. Of one row they are Wilson's 95 % interval: seeds share their
    items, and pooled predictions are not independent.
    """
    sums = np.stack([(row.record.bins.count, row.record.bins.confidence, row.record.bins.hits) for row in rows])
    count, confidence, hits = np.moveaxis(sums[:, :, sums[:, 0].any(axis=0)], 1, 0)
    with np.errstate(invalid="ignore"):  # 0 / 0, of a seed without a prediction in a bin
        confidence, accuracy = confidence / count, hits / count
    low, high = np.nanmin(accuracy, axis=0), np.nanmax(accuracy, axis=0)
    if len(rows) == 1:
        low, high = wilson(hits[0], count[0])
    return Means(np.nanmean(confidence, axis=0), np.nanmean(accuracy, axis=0), count.mean(axis=0), low, high)


def _draw(top: Axes, bottom: Axes, diagram: Diagram, inches: float) -> None:
    """One diagram, and below it how many predictions each bin has."""
    top.plot([0, 1], [0, 1], color=FAINT, lw=1, ls="--")
    bottom.axhline(FEW, color=FAINT, lw=0.8, ls=":")
    for curve in diagram.curves:
        _draw_curve(top, bottom, curve)
    title = [layout.wrapped(diagram.name, inches - 0.6, 8)] if diagram.name else []
    top.set_title("\n".join([*title, *map(_of_curve, diagram.curves)]), fontsize=8, loc="left")
    top.set(ylim=(0, 1), xlim=(0, 1))
    most = max(row.record.bins.count.max() for curve in diagram.curves for row in curve.rows)
    layout.logarithm(bottom, 0.7, 2 * max(most, 100), every=2)
    bottom.set_xlabel("confidence")
    bottom.tick_params(labelbottom=True)  # which a shared axis keeps for the last line of panels


def _of_curve(curve: Curve) -> str:
    """The title with the temperature and the ECE."""
    temperature = number(mean(row.record.temperature for row in curve.rows), 2)
    title = curve.title.replace("fitted T", f"T = {temperature}")
    return f"{title}: ECE {ECE.text(ECE.mean(curve.rows), 3)}"


def _draw_curve(top: Axes, bottom: Axes, curve: Curve) -> None:
    """Draw the curve, and its counts as steps; bins of few predictions faded."""
    bins, (colour, marker) = means(curve.rows), curve.look
    style: dict[str, Any] = {"color": colour, "ls": "--" if curve.is_open else "-"}
    bars = np.stack((np.maximum(bins.accuracy - bins.low, 0), np.maximum(bins.high - bins.accuracy, 0)))
    many = bins.counts >= FEW
    top.plot(bins.confidence[many], bins.accuracy[many], lw=0.8, alpha=0.5, **style)
    marks: dict[str, Any] = {
        "marker": marker,
        "ms": 3.5,
        "mfc": WHITE if curve.is_open else colour,
        "mew": 0.9,
        "elinewidth": 1,
    }
    for chosen, alpha in ((many, 1.0), (~many, 0.3)):
        if chosen.any():
            places = bins.confidence[chosen], bins.accuracy[chosen], bars[:, chosen]
            drawn = top.errorbar(*places, color=colour, ls="none", alpha=alpha, **marks)
            drawn[0].set_clip_on(False)  # marks at 0 and 1 are drawn whole
    first = curve.rows[0].record.bins
    counts = np.mean([row.record.bins.count for row in curve.rows], axis=0)
    bottom.stairs(np.where(counts > 0, counts, np.nan), first.edges, lw=1, baseline=None, **style)


def _legend(diagrams: Sequence[Diagram]) -> dict[str, Line2D]:
    """The looks of the curves by their titles; where every run has its own colour, in black."""
    handles = {}
    for curve in (curve for diagram in diagrams for curve in diagram.curves):
        alone = len({other.curves[0].look for other in diagrams}) == 1
        colour, marker = curve.look if alone else (BLACK, "o")
        fill = WHITE if curve.is_open else colour
        line = "--" if curve.is_open else "-"
        handles[curve.title] = layout.handle(color=colour, ls=line, lw=0.8, marker=marker, ms=4, mfc=fill)
    return handles
