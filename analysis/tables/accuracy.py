"""Accuracy of image classifiers beside the paper's Table 2."""

from __future__ import annotations

from collections.abc import Sequence

from .. import paper
from ..quantities import ECE, NLL, number
from ..rows import Row, n_seeds
from ..significance import of_seeds
from ..study import Study
from .layout import Table


def over_seeds(values: Sequence[float]) -> tuple[str, str]:
    """The mean of shares in percent, and its 95 % interval by Student's t; empty for one seed."""
    n = len(values)
    if n < 2:
        return number(100 * values[0], 2), ""
    estimate = of_seeds(values)
    low, high = estimate.interval()
    return number(100 * estimate.value, 2), f"{100 * low:.2f} to {100 * high:.2f}"


def table(study: Study) -> Table:
    """A line for each network and smoothing that learnt from labels alone, at T = 1."""
    cells = []
    for entry in study.untaught:
        rows = entry.select(mode="images", split=study.split, temperature=1.0)
        if rows:
            on_chosen = entry.select(mode="images", split=study.chosen_on, temperature=1.0)
            value, interval = over_seeds(_accuracies(rows))
            known = (entry.model.corpus.split()[0], entry.model.architecture, entry.amount)
            cells.append(
                [
                    entry.label,
                    value,
                    interval,
                    str(n_seeds(rows)),
                    NLL.text(NLL.mean(rows), 4),
                    ECE.text(ECE.mean(rows)),
                    over_seeds(_accuracies(on_chosen))[0] if on_chosen else "",
                    paper.ACCURACY.get(known, "") if entry.is_plain else "",  # type: ignore[arg-type]
                ]
            )
    return Table(
        "accuracy",
        "Accuracy (Table 2)",
        "T = 1; networks that learnt from labels alone. The paper's accuracies on CIFAR are of images "
        f"held out of train, as those on {study.chosen_on}.",
        ("model", "accuracy, %", "95 % over seeds", "seeds", "NLL", "ECE", f"on {study.chosen_on}, %", "paper, %"),
        cells,
        whole=False,
        split=study.split,
    )


def _accuracies(rows: Sequence[Row]) -> list[float]:
    return [row.record.accuracy or 0.0 for row in rows]
