"""Beam calibration by token class: ends of sentence apart from other tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mt_ls.calibration.bins import Bins

from ..quantities import number
from ..significance import of_seeds, wilson
from ..study import Study
from .layout import Table

HEADER = ("model, token class", "tokens", "confidence", "right", "beam ECE", "95 % of right")


def table(study: Study) -> Table:
    """Lines of each model at T = 1: EOS, other tokens, and shifted tokens, which have no class. Tokens are the sum over
    runs, other numbers are means over them."""
    cells = []
    for entry in study.of_main_search.entries:
        records = [row.record for row in entry.select(split=study.split, mode="beam", temperature=1.0)]
        for name in ("others", "eos") if records else ():
            known = [record.bins_by_class[name] for record in records if record.bins_by_class]
            cells.append([f"{entry.label}, {name}", *_cells([bins for bins in known if bins.n])])
        left_out = [record.n_left_out for record in records if record.n_left_out is not None]
        if records:
            shifted = str(sum(left_out)) if left_out else ""
            cells.append([f"{entry.label}, shifted (left out)", shifted, *["–"] * 4])
    return Table(
        "token_classes",
        "Beam calibration by token class at T = 1",
        "Ends of sentence apart from other tokens; shifted tokens are neither hits nor misses. Means over training "
        "seeds; the interval counts seeds, or the tokens of a single one.",
        HEADER,
        cells,
        split=study.split,
    )


def _cells(of_runs: Sequence[Bins]) -> list[str]:
    if not of_runs:
        return [""] * 5
    right = [bins.accuracy for bins in of_runs]
    # Seeds translate the same sentences: their tokens are not as many independent ones.
    bounds = of_seeds(right).interval() if len(of_runs) > 1 else wilson(of_runs[0].hits.sum(), of_runs[0].count.sum())
    return [
        str(sum(bins.n for bins in of_runs)),
        number(float(np.mean([bins.mean_confidence for bins in of_runs])), 3),
        number(float(np.mean(right)), 3),
        number(float(np.mean([bins.ece() for bins in of_runs])), 4),
        "{:.3f}-{:.3f}".format(*bounds),
    ]
