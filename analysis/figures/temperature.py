"""The paper's Figure 4: BLEU and ECE against temperature, hard and smoothed, and NLL against temperature for both."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..rows import Row, alphas, mean, select
from . import style as plots


def curve(rows: Sequence[Row], quantity: str) -> tuple[list[float], list[float]]:
    """(temperatures, means over runs of "bleu", "ece" or "nll"), in order; a temperature at which not all runs were
    measured, as one that was fitted to its run, is left out."""
    points: dict[float, list[float]] = {}
    for row in rows:
        record = row.record
        value = record.bins.ece() if quantity == "ece" else getattr(record, quantity)
        value = value["score"] if isinstance(value, dict) else value
        if value is not None:
            points.setdefault(record.temperature, []).append(value)
    n_runs = max(map(len, points.values()), default=0)
    temperatures = sorted(t for t, values in points.items() if len(values) == n_runs)
    return temperatures, [mean(points[t]) or 0.0 for t in temperatures]


def figure(rows: Sequence[Row], split: str = "test") -> Figure | None:
    """Three panels; None unless both a hard (alpha 0) and a smoothed model were measured at several temperatures."""
    ours = select(rows, split=split)
    pair = [alpha for alpha in (0.0, 0.1) if alpha in alphas(ours)] or alphas(ours)[:2]
    if len({row.record.temperature for row in select(ours, mode="forced")}) < 2:
        return None
    fig, axes = plots.new(1, 3, width=12)
    scores = []
    for axis, alpha in zip(axes, pair, strict=False):
        scores.append(_bleu_and_ece(axis, select(ours, alpha=alpha), alpha))
    heights = [limit for axis in scores for limit in axis.get_ylim()]
    for axis in scores:
        axis.set_ylim(min(heights), max(heights))
    eces = [limit for axis in axes[: len(pair)] for limit in axis.get_ylim()]
    for axis in axes[: len(pair)]:
        axis.set_ylim(0, max(eces))
    for alpha in pair:
        temperatures, nll = curve(select(ours, alpha=alpha, mode="forced"), "nll")
        axes[-1].plot(
            temperatures, nll, marker=plots.marker(alpha), ms=3, color=plots.colour(alpha), label=f"α = {alpha:g}"
        )
    axes[-1].set(xlabel="temperature", ylabel="NLL (nats a token)", title="likelihood")
    axes[-1].legend(frameon=False)
    plots.sign(fig, [row.record.signature for row in select(ours, temperature=1.0)])
    return fig


def _bleu_and_ece(axis: Axes, rows: list[Row], alpha: float) -> Axes:
    axis.plot(*curve(select(rows, mode="forced"), "ece"), color=plots.RED, marker="o", ms=3)
    axis.set(xlabel="temperature", title=f"α = {alpha:g}")
    axis.set_ylabel("forced ECE", color=plots.RED)
    right = axis.twinx()
    right.plot(*curve(select(rows, mode="beam"), "bleu"), color=plots.BLUE, marker="s", ms=3)
    right.set_ylabel("BLEU", color=plots.BLUE)
    right.spines["top"].set_visible(False)
    return right
