"""The translation row of the paper's Table 3: baseline, temperature scaling, label smoothing."""

from __future__ import annotations

from collections.abc import Sequence

from .. import paper
from ..quantities import number
from ..rows import Row, at_fitted, held_out, mean, select
from ..study import Study
from .layout import Table

HEADER = ("", "baseline ECE (T=1, alpha=0)", "temperature scaling ECE / T", "label smoothing ECE / alpha")


def table(study: Study) -> Table:
    """The paper's line and ours, on the split that chose (valid, as in the paper), and on the reported one.

    The temperature is fitted on half of the split that chose; of that split the other half is reported.
    """
    lines = [list(paper.CALIBRATION_TRANSLATION)]
    for hard, smoothed in study.of_main_search.pairs:
        for split in dict.fromkeys((study.chosen_on, study.split)):
            forced = hard.select(mode="forced", split=split)
            scaled = at_fitted(forced)
            baseline, scaled_ece, smoothed_ece = map(
                _held_out_ece,
                (
                    select(forced, temperature=1.0),
                    scaled,
                    smoothed.select(mode="forced", split=split, temperature=1.0),
                ),
            )
            temperature = number(mean(row.record.temperature for row in scaled), 2)
            body = f", {study.shared_label(hard)}" if len(study.pairs) > 1 else ""
            lines.append(
                [
                    f"ours, {study.corpus}{body}, {split}",
                    baseline,
                    f"{scaled_ece} / {temperature}" if scaled_ece else "",
                    f"{smoothed_ece} / {smoothed.amount:g}" if smoothed_ece else "",
                ]
            )
    return Table(
        "table_3",
        "Table 3",
        "Expected calibration error beside the paper's.",
        HEADER,
        lines if len(lines) > 1 else [],
    )


def _held_out_ece(rows: Sequence[Row]) -> str:
    bins = [held_out(row) for row in rows]
    return number(mean(None if part is None else part.ece() for part in bins), 3)
