"""Other estimators of the calibration of each model."""

from __future__ import annotations

from ..quantities import BRIER, ECE, ECE_DEBIASED, ECE_EQUAL_MASS, MCE, number
from ..rows import at_fitted, mean, select
from ..study import Study
from .layout import Table

HEADER = ("model", "T", "ECE", "ECE, equal mass", "debiased, L2", "greatest gap", "Brier")


def table(study: Study) -> Table:
    """Lines of each model that learnt from labels, at T = 1 and at the fitted temperature: means over seeds."""
    cells = []
    for entry in study.untaught:
        rows = entry.select(split=study.split, mode=study.forced_mode)
        for chosen, at in ((select(rows, temperature=1.0), "1"), (at_fitted(rows), "")):
            if chosen:
                cells.append(
                    [
                        entry.label,
                        at or number(mean(row.record.temperature for row in chosen), 2),
                        *(
                            quantity.text(quantity.mean(chosen))
                            for quantity in (ECE, ECE_EQUAL_MASS, ECE_DEBIASED, MCE, BRIER)
                        ),
                    ]
                )
    of = "calibration" if study.is_of_images else "forced calibration"
    return Table(
        "estimators",
        f"Other estimators of {of}",
        "Means over seeds. 15 bins of equal width, or of equal mass; the root of the mean squared gap without the "
        "noise of each bin (Kumar et al. 2019); the greatest gap of a bin, which a bin of few predictions can make.",
        HEADER,
        cells,
        whole=False,
        split=study.split,
    )
