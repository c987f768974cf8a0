"""The paper's Figures 2 and 3: reliability of classifiers and of next-token predictions, with counts and intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..rows import Row, at_fitted, mean, number, pooled, select
from . import style as plots


def wilson(hits: np.ndarray, count: np.ndarray, z: float = 1.96) -> tuple[np.ndarray, np.ndarray]:
    """95 % interval of a share (Wilson 1927): (low, high) of the shape of ``hits`` (a number, too). Tokens count as
    independent, so it is a lower bound on the width."""
    share = hits / count
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    return np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)


def figure(rows: Sequence[Row], split: str = "test", mode: str = "forced") -> Figure | None:
    """For each network a diagram each for alpha 0, alpha 0 at its fitted temperature, and alpha 0.1; None if none was
    measured. Bins of several training seeds are pooled; the numbers are their means."""
    ours = select(rows, split=split, mode=mode)
    networks = sorted({row.record.network for row in ours}, key=str)
    shown = [panels for network in networks if (panels := _panels(select(ours, network=network)))]
    titles = list(dict.fromkeys(title for panels in shown for title in panels))
    if not titles:
        return None
    fig, grid = plots.new(
        2 * len(shown),
        len(titles),
        width=3.6 * len(titles),
        height=4.6 * len(shown),
        height_ratios=(3, 1) * len(shown),
        sharex=True,
    )
    axes = np.reshape(grid, (len(shown), 2, len(titles)))
    for panels, (tops, bottoms) in zip(shown, axes, strict=True):
        for title, top, bottom in zip(titles, tops, bottoms, strict=True):
            if title not in panels:
                top.set_axis_off()
                bottom.set_axis_off()
                continue
            network = f"{panels[title][0].record.network}, " if len(shown) > 1 else ""
            _draw(top, bottom, panels[title], network + title)
        tops[0].set_ylabel("accuracy")
        bottoms[0].set_ylabel("images" if mode == "images" else "tokens")
    plots.sign(fig, [row.record.signature for panels in shown for chosen in panels.values() for row in chosen])
    return fig


ESTIMATORS_HEADER = ("model", "T", "ECE", "ECE, equal mass", "debiased, L2", "greatest gap", "Brier")
ESTIMATORS_HOW = (
    "Means of seeds. 15 bins of equal width, or of equal mass; the root of the mean squared gap without the noise of "
    "each bin (Kumar et al. 2019); the greatest gap of a bin, which a bin of few predictions can make."
)


def estimators(rows: Sequence[Row], split: str = "test", mode: str = "forced") -> list[list[str]]:
    """What other estimators say of the calibration of each network and alpha, at T = 1 and at the fitted
    temperature."""
    ours = select(rows, split=split, mode=mode)
    models = sorted({(str(row.record.network), row.record.alpha) for row in ours}, key=str)
    several = len({network for network, _ in models}) > 1
    cells = []
    for network, alpha in models:
        found = [row for row in select(ours, alpha=alpha) if str(row.record.network) == network]
        name = f"{network}, " * several + ("not stated" if alpha is None else f"alpha {alpha:g}")
        for label, chosen in (("1", select(found, temperature=1.0)), ("", at_fitted(found))):
            records = [row.record for row in chosen]
            if not records:
                continue
            mass = [one.bins_equal_mass.ece() if one.bins_equal_mass else None for one in records]
            cells.append(
                [
                    name,
                    label or number(mean(one.temperature for one in records), 2),
                    number(mean(one.bins.ece() for one in records), 4),
                    number(mean(mass), 4),
                    number(mean(one.bins.ece2_debiased() for one in records), 4),
                    number(mean(one.bins.mce() for one in records), 3),
                    number(mean(one.brier for one in records), 4),
                ]
            )
    return cells


def _panels(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each diagram of a network, by its title, where there are any."""
    hard = select(rows, alpha=0.0)
    found = {
        "hard targets": select(hard, temperature=1.0),
        "hard + temperature": at_fitted(hard),
        "label smoothing 0.1": select(rows, alpha=0.1, temperature=1.0),
    }
    return {title: chosen for title, chosen in found.items() if chosen}


def _draw(top: Axes, bottom: Axes, rows: Sequence[Row], title: str) -> None:
    """One diagram, and below it how many predictions each bin has."""
    alpha = rows[0].record.alpha
    ece, temperature = (
        mean(values) for values in zip(*((row.record.bins.ece(), row.record.temperature) for row in rows), strict=True)
    )
    bins = pooled(rows)
    confidence, accuracy, count = bins.curve()
    low, high = wilson(accuracy * count, count)
    top.plot([0, 1], [0, 1], color="0.7", lw=1, ls="--")
    top.errorbar(
        confidence,
        accuracy,
        (np.maximum(accuracy - low, 0), np.maximum(high - accuracy, 0)),
        color=plots.colour(alpha),
        marker=plots.marker(alpha),
        ms=3.5,
        lw=1,
    )
    top.set(title=f"{title}\nT = {number(temperature, 2)}, ECE {number(ece, 3)}", ylim=(0, 1), xlim=(0, 1))
    bottom.bar(bins.edges[:-1], bins.count, np.diff(bins.edges), align="edge", color="0.75", ec="white")
    bottom.set(xlabel="confidence")
    bottom.tick_params(labelbottom=True)  # which a shared axis keeps for the last line of panels
    bottom.ticklabel_format(axis="y", style="sci", scilimits=(0, 3))
