"""Beam calibration by token class: ends of sentence apart from other tokens."""

from __future__ import annotations

import functools
import operator

from mt_ls.calibration.bins import Bins

from ..quantities import number
from ..significance import wilson
from ..study import Study
from .layout import Table

HEADER = ("model, token class", "tokens", "confidence", "right", "beam ECE", "95 % of shares")


def table(study: Study) -> Table:
    """Lines of each model at T = 1, its runs together: EOS, other tokens, and shifted tokens, which have no class."""
    cells = []
    for entry in study.of_main_search.entries:
        records = [row.record for row in entry.select(split=study.split, mode="beam", temperature=1.0)]
        for name in ("others", "eos") if records else ():
            known = [record.bins_by_class[name] for record in records if record.bins_by_class]
            cells.append([f"{entry.label}, {name}", *_cells(functools.reduce(operator.add, known, Bins.zeros()))])
        left_out = [record.n_left_out for record in records if record.n_left_out is not None]
        if records:
            shifted = str(sum(left_out)) if left_out else ""
            cells.append([f"{entry.label}, shifted (left out)", shifted, *["–"] * 4])
    return Table(
        "token_classes",
        "Beam calibration by token class at T = 1",
        "Ends of sentence apart from other tokens; shifted tokens are neither hits nor misses.",
        HEADER,
        cells,
        split=study.split,
    )


def _cells(bins: Bins) -> list[str]:
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
