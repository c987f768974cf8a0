"""The paper's Figure 4: BLEU and ECE against temperature, and NLL against temperature."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import paper
from ..quantities import BLEU, ECE, NLL, Quantity
from ..rows import Row, mean
from ..study import Entry, Study
from . import layout
from .layout import BLUE, RED, Drawing


def drawing(study: Study) -> Drawing:
    """A panel of BLEU and ECE for each model that is compared, and one of NLL."""
    return Drawing(
        "temperature",
        "BLEU and calibration against temperature",
        "Figure 4",
        "Left and centre: forced ECE (red circles, left scale) and BLEU (blue squares, right scale) of each model; "
        "calibration is best where the red curve is lowest. Right: NLL of both. Means over training seeds.",
        f"its curves are only drawn. Base Transformer, dev: BLEU {paper.BLEU[0]} to {paper.BLEU[1]} and perplexity "
        f"{paper.PERPLEXITY[0]} to {paper.PERPLEXITY[1]} with smoothing (Table 1).",
        figure(study.of_main_search),
        study.split,
    )


def by_temperature(rows: Sequence[Row], quantity: Quantity) -> tuple[list[float], list[float]]:
    """Temperatures in order, and the means over runs of a quantity.

    A temperature at which not all runs were measured, as one that was fitted to its run, is left out.
    """
    points: dict[float, list[float]] = {}
    for row in rows:
        value = quantity.of_record(row.record)
        if value is not None:
            points.setdefault(row.record.temperature, []).append(value)
    n_runs = max(map(len, points.values()), default=0)
    temperatures = sorted(t for t, values in points.items() if len(values) == n_runs)
    return temperatures, [mean(points[t]) or 0.0 for t in temperatures]


def figure(study: Study) -> Figure | None:
    """None where no model was measured at several temperatures."""
    entries, split = compared(study), study.split
    forced = [row for entry in entries for row in entry.select(split=split, mode="forced")]
    if len({row.record.temperature for row in forced}) < 2:
        return None
    fig, axes = layout.new(1, len(entries) + 1, width=4 * (len(entries) + 1))
    *panels, likelihood = axes
    looks, names = layout.looks(entries, study.by), layout.names(entries, study.by)
    scores = [
        _bleu_and_ece(axis, entry, split, names[entry.label]) for axis, entry in zip(panels, entries, strict=True)
    ]
    heights = [limit for axis in scores for limit in axis.get_ylim()]
    eces = [limit for axis in panels for limit in axis.get_ylim()]
    for axis, score in zip(panels, scores, strict=True):
        score.set_ylim(min(heights), max(heights))
        axis.set_ylim(0, max(eces))
    for entry in entries:
        temperatures, nll = by_temperature(entry.select(split=split, mode="forced"), NLL)
        look = looks[entry.label]
        likelihood.plot(temperatures, nll, marker=look.marker, ms=3, color=look.colour, label=names[entry.label])
    likelihood.set(xlabel="temperature", ylabel="NLL (nats a token)", title="likelihood")
    likelihood.legend(frameon=False)
    at_one = [row for entry in entries for row in entry.select(split=split, temperature=1.0)]
    layout.sign(fig, [row for row in at_one if row.record.mode in ("forced", "beam")])
    return fig


def compared(study: Study) -> list[Entry]:
    """The first pair of a model without smoothing and its smoothed one, or else the first models; by run, all runs."""
    if study.by == "run":
        return study.entries
    first = [entry for pair in study.comparisons[:1] for entry in pair if entry is not None]
    return first if len(first) == 2 else study.entries[:2]


def _bleu_and_ece(axis: Axes, entry: Entry, split: str, title: str) -> Axes:
    """Draw one model; the axis of BLEU."""
    axis.plot(*by_temperature(entry.select(split=split, mode="forced"), ECE), color=RED, marker="o", ms=3)
    axis.set(xlabel="temperature", title=title)
    axis.set_ylabel("forced ECE", color=RED)
    right = axis.twinx()
    right.plot(*by_temperature(entry.select(split=split, mode="beam"), BLEU), color=BLUE, marker="s", ms=3)
    right.set_ylabel("BLEU", color=BLUE)
    right.spines["top"].set_visible(False)
    return right
