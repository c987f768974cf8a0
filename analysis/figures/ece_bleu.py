"""BLEU and perplexity against forced ECE, of every model, temperature and seed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from scipy import stats

from ..quantities import BLEU, ECE, NLL, PERPLEXITY
from ..rows import Row, at_fitted, select
from ..study import Entry, Study
from . import layout
from .colours import BLACK, WHITE
from .layout import Drawing, Look
from .signatures import Signed


class Cell(NamedTuple):
    """A run at a temperature: its model, and its records of both modes."""

    entry: Entry
    forced: Row
    beam: Row

    @property
    def temperature(self) -> float:
        """The temperature of both records."""
        return self.forced.record.temperature


class Point(NamedTuple):
    """ECE, BLEU and perplexity: of a cell, or means of several."""

    ece: float
    bleu: float
    perplexity: float


def drawing(study: Study) -> Drawing:
    """Two panels with all cells, and a greater mark a model at T = 1, with its 95 % intervals, and at the fitted T."""
    return Drawing(
        "ece_bleu",
        "BLEU and perplexity against ECE",
        "",
        "A small point is one run at one temperature, and grows with T; a line joins those of a run. Great marks are "
        "means over training seeds: filled at T = 1, with 95 % intervals over sentences and seeds, open at the fitted "
        "T. If calibration made BLEU, BLEU would fall from left to right: Spearman's rank correlation of ECE with BLEU "
        "would be near −1. Runs share their sentences, so it has no test of significance.",
        "smoothing lowers ECE and raises BLEU, and its perplexity is worse.",
        figure(study.of_main_search),
        study.split,
    )


def figure(study: Study) -> Signed | None:
    """None where no run was measured in both modes at one temperature."""
    cells = _cells(study)
    if not cells:
        return None
    fig, axes = layout.new(1, 2, width=layout.width_of(2), height=2.9)
    entries = list({cell.entry.label: cell.entry for cell in cells}.values())
    looks, names = layout.looks(study.entries, study.by), layout.names(entries, study.by)
    handles = {}
    for entry in entries:
        of_entry, look = [cell for cell in cells if cell.entry is entry], looks[entry.label]
        for axis, name in zip(axes, ("bleu", "perplexity"), strict=True):
            _draw(axis, name, of_entry, look)
        handles[names[entry.label]] = layout.handle(color=look.colour, marker=look.marker, ms=4, ls="none")
    layout.legend(fig, handles | _meanings(cells))
    greatest = max(_point([cell]).ece for cell in cells)
    for axis, name, label in zip(axes, ("bleu", "perplexity"), ("BLEU", "perplexity (log scale)"), strict=True):
        layout.square_root(axis, "x", greatest, apart=0.17)
        axis.set(xlabel="forced ECE\n(square-root scale)", ylabel=label)
        axis.set_title(_correlations(cells, name, "run" if study.by == "run" else "model"), fontsize=8, loc="left")
    low, high = axes[1].get_ylim()
    layout.logarithm(axes[1], low, high, digits=(1, 1.5, 2, 3, 4, 5, 6, 8))
    layout.sign(fig, [row for cell in cells for row in (cell.forced, cell.beam)])
    return fig


def _cells(study: Study) -> list[Cell]:
    """The cells, of each run from the lowest temperature to the highest."""
    cells = []
    for entry in study.entries:
        searched = {
            (row.record.run, round(row.record.temperature, 6)): row
            for row in entry.select(mode="beam", split=study.split)
            if row.record.bleu
        }
        for forced in entry.select(mode="forced", split=study.split):
            beam = searched.get((forced.record.run, round(forced.record.temperature, 6)))
            if beam is not None and forced.record.perplexity is not None:
                cells.append(Cell(entry, forced, beam))
    return sorted(cells, key=lambda cell: (cell.forced.record.run, cell.temperature))


def _point(cells: Sequence[Cell]) -> Point:
    """The means over cells."""
    forced, beam = [cell.forced for cell in cells], [cell.beam for cell in cells]
    return Point(ECE.mean(forced) or 0.0, BLEU.mean(beam) or 0.0, PERPLEXITY.mean(forced) or 0.0)


def _draw(axis: Axes, name: str, cells: Sequence[Cell], look: Look) -> None:
    """Draw the cells of one model, those of a run joined, and its means at T = 1 and at the fitted temperature."""
    least, most = min(cell.temperature for cell in cells), max(cell.temperature for cell in cells)
    for run in dict.fromkeys(cell.forced.record.run for cell in cells):
        of_run = [cell for cell in cells if cell.forced.record.run == run]
        x, y = zip(*((point.ece, getattr(point, name)) for cell in of_run for point in [_point([cell])]), strict=True)
        sizes = [2 + 10 * (cell.temperature - least) / max(most - least, 1e-9) for cell in of_run]
        axis.plot(x, y, color=look.colour, lw=0.5, alpha=0.6, zorder=1)
        axis.scatter(x, y, s=sizes, color=look.colour, marker=look.marker, lw=0, alpha=0.6, zorder=2)
    for chosen, filled in ((_at_one(cells), True), (_fitted(cells), False)):
        if chosen:
            point = _point(chosen)
            bars: dict[str, Any] = _bars(chosen, point, name) if filled else {}
            fill: dict[str, Any] = (
                {"mfc": look.colour, "mec": WHITE, "mew": 0.5} if filled else {"mfc": WHITE, "mew": 1.2}
            )
            style = {"color": look.colour, "marker": look.marker, "ms": 6, "ls": "none", "elinewidth": 0.9, **fill}
            axis.errorbar(point.ece, getattr(point, name), **bars, **style, zorder=3 + filled)


def _at_one(cells: Iterable[Cell]) -> list[Cell]:
    return [cell for cell in cells if select([cell.forced], temperature=1.0)]


def _fitted(cells: Iterable[Cell]) -> list[Cell]:
    return [cell for cell in cells if at_fitted([cell.forced])]


def _bars(cells: Sequence[Cell], point: Point, name: str) -> dict[str, list[list[float]]]:
    """The 95 % intervals of the means of cells, where items were kept, as `Axes.errorbar` takes them."""
    forced, beam = [cell.forced for cell in cells], [cell.beam for cell in cells]
    nll = NLL.interval(forced)
    heights = BLEU.interval(beam) if name == "bleu" else nll and (math.exp(nll[0]), math.exp(nll[1]))
    bounds = {"xerr": (point.ece, ECE.interval(forced)), "yerr": (getattr(point, name), heights)}
    return {
        side: [[max(0.0, value - ends[0])], [max(0.0, ends[1] - value)]]
        for side, (value, ends) in bounds.items()
        if ends is not None
    }


def _correlations(cells: Sequence[Cell], name: str, what: str) -> str:
    """Spearman's correlations with ECE in lines: over all cells, and over the models (or runs) at T = 1."""
    at_one: dict[str, list[Cell]] = {}
    for cell in _at_one(cells):
        at_one.setdefault(cell.entry.label, []).append(cell)
    over = {
        f"all {len(cells)} points": [_point([cell]) for cell in cells],
        f"{len(at_one)} {what}s at T = 1": [_point(of_model) for of_model in at_one.values()],
    }
    known = {of: rho for of, points in over.items() if (rho := correlation(points, name)) is not None}
    lines = [f"{rho:+.2f} over {of}".replace("-", "−") for of, rho in known.items()]
    return "\n".join(["Spearman's ρ with ECE:", *lines] if lines else [])


def correlation(points: Sequence[Point], name: str) -> float | None:
    """Spearman's rank correlation of ECE with BLEU or perplexity; None of fewer than three points, or of equal ones."""
    x, y = [point.ece for point in points], [getattr(point, name) for point in points]
    if min(len(set(x)), len(set(y))) < 2 or len(points) < 3:
        return None
    return float(stats.spearmanr(x, y).statistic)


def _meanings(cells: Sequence[Cell]) -> dict[str, Line2D]:
    """Handles of the marks that all models share, by their labels."""
    style: dict[str, Any] = {"color": BLACK, "marker": "o", "ls": "none"}
    marks = {"T = 1 (95 %)": layout.handle(ms=5, **style)} if _at_one(cells) else {}
    if _fitted(cells):
        marks["fitted T"] = layout.handle(ms=5, mfc=WHITE, mew=1.2, **style)
    marks["low to high T"] = layout.handle(ms=2.5, lw=0.5, color=BLACK, marker="o", alpha=0.6)
    return marks
