"""ECE against BLEU and perplexity over alpha, and Table 3's row: baseline, temperature scaling, label smoothing."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mt_ls.calibration.bins import Bins

from .. import rows as table
from ..figures import style as plots
from ..figures.reliability import wilson
from ..rows import Row, alphas, at_fitted, interval, interval_of_mean, mean, number, select

MAIN_HEADER = (
    "model",
    "T",
    "seeds",
    "BLEU",
    "NLL",
    "perplexity",
    "accuracy",
    "forced ECE",
    "95 %",
    "floor",
    "beam ECE",
)


def main_table(rows: Sequence[Row], split: str = "test", seed: int = 1) -> list[list[str]]:
    """One line an alpha at T = 1 and at the fitted temperature; means over training seeds. NLL in nats a token."""
    cells = []
    rng = np.random.default_rng(seed)
    for alpha in alphas(rows):
        ours = select(rows, alpha=alpha, split=split)
        forced = select(ours, mode="forced")
        beam = select(ours, mode="beam")
        name = f"alpha {alpha:g}"
        cells.append(_line(name, "1", select(forced, temperature=1.0), select(beam, temperature=1.0), rng))
        cells.append(_line(name, "fitted", at_fitted(forced), at_fitted(beam), rng))
    return cells


def _line(name: str, label: str, forced: list[Row], beam: list[Row], rng: np.random.Generator) -> list[str]:
    temperature = mean(row.record.temperature for row in forced)
    bounds = interval_of_mean(forced)
    floor = forced[0].record.bins.noise_floor(rng)[0] if forced else None
    return [
        name,
        number(temperature, 2) if label == "fitted" else label,
        str(len(forced)),
        number(mean(row.record.bleu["score"] if row.record.bleu else None for row in beam), 1),
        number(mean(row.record.nll for row in forced), 3),
        number(mean(row.record.perplexity for row in forced), 2),
        number(mean(row.record.accuracy for row in forced), 3),
        number(mean(row.record.bins.ece() for row in forced), 4),
        f"{bounds[0]:.4f}-{bounds[1]:.4f}" if bounds else "",
        number(floor, 4),
        number(mean(row.record.bins.ece() for row in beam), 4),
    ]


TABLE_3_HEADER = ("", "baseline ECE (T=1, alpha=0)", "temperature scaling ECE / T", "label smoothing ECE / alpha")
PAPER_TABLE_3 = ["paper, En-De Transformer (WMT, valid)", "0.056", "0.018 / 1.13", "0.019 / 0.1"]


def table_3(rows: Sequence[Row]) -> list[list[str]]:
    """The paper's row and ours on valid (as in the paper) and on test. T is fitted on half of valid; of the split that
    it was fitted on, the other half reports."""
    lines = [PAPER_TABLE_3]
    for split in ("valid", "test"):
        forced = select(rows, mode="forced", split=split)
        hard = select(forced, alpha=0.0)
        smooth = select(forced, alpha=0.1, temperature=1.0)
        scaled = at_fitted(hard)
        fitted = mean(row.record.temperature for row in scaled)
        baseline, scaled_ece, smooth_ece = map(_held_out_ece, (select(hard, temperature=1.0), scaled, smooth))
        lines.append(
            [
                f"ours, {rows[0].record.corpus}, {split}",
                baseline,
                f"{scaled_ece} / {number(fitted, 2)}" if scaled_ece else "",
                f"{smooth_ece} / 0.1" if smooth_ece else "",
            ]
        )
    return lines


def _held_out_ece(rows: Sequence[Row]) -> str:
    bins = [table.held_out(row) for row in rows]
    return number(mean(None if one is None else one.ece() for one in bins), 3)


BEAMS_HEADER = ("model", "beam", "length penalty", "seeds", "BLEU", "length")


def beams(rows: Sequence[Row], split: str = "test") -> list[list[str]]:
    """A line for each alpha and search at T = 1, means over training seeds; none where there was one search only."""
    searched = select(rows, mode="beam", split=split, temperature=1.0)
    searches = sorted({(row.record.beam or 0, row.record.lenpen or 0.0) for row in searched})
    cells = []
    for alpha in alphas(searched) if len(searches) > 1 else []:
        for beam, lenpen in searches:
            found = [row.record for row in select(searched, alpha=alpha, beam=beam, lenpen=lenpen)]
            score = mean(record.bleu["score"] if record.bleu else None for record in found)
            length = mean(record.length_ratio for record in found)
            cells.append(
                [f"alpha {alpha:g}", str(beam), f"{lenpen:g}", str(len(found)), number(score, 1), number(length, 3)]
            )
    return cells


CLASS_HEADER = ("model, token class", "tokens", "confidence", "right", "beam ECE", "95 % of shares")


def class_table(rows: Sequence[Row], split: str = "test") -> list[list[str]]:
    """Beam calibration at T = 1 by token class (EOS, others), runs of one alpha together; then the shifted tokens,
    which TER calls neither right nor wrong."""
    cells = []
    for alpha in alphas(rows):
        beam = [r.record for r in select(rows, alpha=alpha, split=split, mode="beam", temperature=1.0)]
        for name in ("others", "eos"):
            known = [record.bins_by_class[name] for record in beam if record.bins_by_class]
            bins = functools.reduce(operator.add, known, Bins.zeros())
            cells.append([f"alpha {alpha:g}, {name}", *_class_cells(bins)])
        left_out = [record.n_left_out for record in beam if record.n_left_out is not None]
        cells.append([f"alpha {alpha:g}, shifted (left out)", str(sum(left_out)) if left_out else "", *["–"] * 4])
    return cells


def _class_cells(bins: Bins) -> list[str]:
    if not bins.n:
        return [""] * 5
    low, high = wilson(bins.hits.sum(), bins.count.sum())
    return [
        str(bins.n),
        number(bins.mean_confidence, 3),
        number(bins.accuracy, 3),
        number(bins.ece(), 4),
        f"{low:.3f}-{high:.3f}",
    ]


def figure(rows: Sequence[Row], split: str = "test") -> Figure | None:
    """BLEU (left) and perplexity (right) against forced ECE at T = 1, one point a run, with 95 % intervals over the
    sentences; None without beam records."""
    points = []
    for forced in select(rows, mode="forced", split=split, temperature=1.0):
        searched = select(rows, mode="beam", split=split, temperature=1.0, run=forced.record.run)
        if searched and searched[0].record.bleu:
            points.append((forced, searched[0], searched[0].record.bleu["score"]))
    if not points:
        return None
    fig, axes = plots.new(1, 2, width=8.5)
    labelled: dict[tuple[Axes, str], list[tuple[float, float]]] = {}  # runs of one amount of smoothing share a label
    for forced, beam, score in points:
        alpha, ece = forced.record.alpha, forced.record.bins.ece()
        label = forced.record.run if alpha is None else f"α = {alpha:g}"
        nll = interval(forced, "nll")
        heights = (
            (score, interval(beam, "bleu")),
            (forced.record.perplexity, nll and (math.exp(nll[0]), math.exp(nll[1]))),
        )
        for axis, (value, bounds) in zip(axes, heights, strict=True):
            axis.errorbar(
                ece,
                value,
                _bars(value, bounds),
                _bars(ece, interval(forced)),
                lw=0.8,
                ms=5,
                marker=plots.marker(alpha),
                color=plots.colour(alpha),
            )
            labelled.setdefault((axis, label), []).append((ece, value))
    for (axis, label), at in labelled.items():
        axis.annotate(label, np.mean(at, axis=0), xytext=(6, 4), textcoords="offset points")
    for axis, name in zip(axes, ("BLEU", "perplexity"), strict=True):
        axis.margins(0.25)
        axis.set(xlabel=f"forced ECE ({split}, T = 1)", ylabel=name)
    plots.sign(fig, [forced.record.signature for forced, *_ in points])
    return fig


def _bars(value: float, bounds: tuple[float, float] | None) -> list[list[float]] | None:
    return None if bounds is None else [[max(0.0, value - bounds[0])], [max(0.0, bounds[1] - value)]]
