"""BLEU and perplexity against forced ECE, a point a run."""

from __future__ import annotations

import math
from typing import NamedTuple

from matplotlib.figure import Figure

from ..quantities import BLEU, ECE, NLL
from ..rows import Row
from ..study import Entry, Study
from . import layout
from .layout import Drawing


class Point(NamedTuple):
    """A run at T = 1: its model, and its records of both modes."""

    entry: Entry
    forced: Row
    beam: Row


def drawing(study: Study) -> Drawing:
    """Two panels, with 95 % intervals over the sentences."""
    return Drawing(
        "ece_bleu",
        "BLEU and perplexity against ECE",
        "",
        "One point a trained model at T = 1; bars are 95 % intervals over the sentences. If calibration made "
        "BLEU, points would fall from left to right.",
        "smoothing lowers ECE and raises BLEU, and its perplexity is worse.",
        figure(study.of_main_search),
        study.split,
    )


def figure(study: Study) -> Figure | None:
    """None where no run was measured in both modes."""
    points = _points(study)
    if not points:
        return None
    fig, axes = layout.new(1, 2, width=2 * layout.PANEL)
    entries = list({point.entry.label: point.entry for point in points}.values())
    looks = layout.looks(study.entries if study.by == "run" else entries, study.by)
    names = layout.names(entries, study.by)
    handles = {}  # the runs of one model share a label
    for entry, forced, beam in points:
        ece, look = forced.record.bins.ece(), looks[entry.label]
        nll, across = NLL.interval([forced]), _bars(ece, ECE.interval([forced]))
        heights = (
            (BLEU.of_record(beam.record), BLEU.interval([beam])),
            (forced.record.perplexity, nll and (math.exp(nll[0]), math.exp(nll[1]))),
        )
        for axis, (value, bounds) in zip(axes, heights, strict=True):
            bars = _bars(value, bounds), across
            drawn = axis.errorbar(ece, value, *bars, lw=0.8, ms=5, marker=look.marker, color=look.colour, ls="none")
            handles[names[entry.label]] = drawn[0]
    layout.legend(fig, handles)
    for axis, name in zip(axes, ("BLEU", "perplexity"), strict=True):
        axis.set(xlabel=f"forced ECE ({study.split}, T = 1)", ylabel=name)
    layout.sign(fig, [point.forced for point in points])
    return fig


def _points(study: Study) -> list[Point]:
    points = []
    for entry in study.entries:
        for forced in entry.select(mode="forced", split=study.split, temperature=1.0):
            searched = entry.select(mode="beam", split=study.split, temperature=1.0, run=forced.record.run)
            if searched and searched[0].record.bleu:
                points.append(Point(entry, forced, searched[0]))
    return points


def _bars(value: float | None, bounds: tuple[float, float] | None) -> list[list[float]] | None:
    if value is None or bounds is None:
        return None
    return [[max(0.0, value - bounds[0])], [max(0.0, bounds[1] - value)]]
