"""Other estimators of the calibration of each model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mt_ls.calibration.t_cal import p_value

from ..quantities import (
    BRIER,
    ECE,
    ECE_DEBIASED,
    ECE_EQUAL_MASS,
    ECE_OF_ALL_CLASSES,
    ECE_WITHOUT_EOS,
    MCE,
    OVER,
    SMOOTH_ECE,
    UNDER,
    number,
)
from ..rows import Row, at_fitted, mean, select
from ..study import Study
from .layout import Table

OF_IMAGES = (ECE, OVER, UNDER, ECE_EQUAL_MASS, SMOOTH_ECE, ECE_DEBIASED, MCE, BRIER)
OF_TRANSLATIONS = (*OF_IMAGES[:5], ECE_WITHOUT_EOS, ECE_OF_ALL_CLASSES, *OF_IMAGES[5:])
_HOW = (
    "Means over seeds; empty where it was not measured. ECE of 15 bins of equal width; over and under: its parts from "
    "bins whose confidence is above or below their accuracy; of 15 bins of equal mass; SmoothECE, without bins "
    "(Blasiok and Nakkiran 2023); {of_translations}debiased: the root of the mean squared gap without the noise of "
    "each bin (Kumar et al. 2019); the greatest gap of a bin, which a bin of few predictions can make. p: how often a "
    "calibrated model is as far from calibration (a test after T-Cal, Lee et al. 2022), the greatest of the runs."
)
_OF_TRANSLATIONS = (
    "without EOS: ECE of the predictions other than EOS, as beam ECE has them; all classes: the weighted ECE of every "
    "token's probability (Kumar and Sarawagi 2019); "
)


def table(study: Study) -> Table:
    """Lines of each model that learnt from labels, at T = 1 and at the fitted temperature: means over seeds."""
    quantities = OF_IMAGES if study.is_of_images else OF_TRANSLATIONS
    cells = []
    for entry in study.untaught:
        rows = entry.select(split=study.split, mode=study.forced_mode)
        for chosen, at in ((select(rows, temperature=1.0), "1"), (at_fitted(rows), "")):
            if chosen:
                temperature = at or number(mean(row.record.temperature for row in chosen), 2)
                values = [quantity.text(quantity.mean(chosen)) for quantity in quantities]
                cells.append([entry.label, temperature, *values, _greatest_p(chosen)])
    return Table(
        "estimators",
        f"Other estimators of {'calibration' if study.is_of_images else 'forced calibration'}",
        _HOW.format(of_translations="" if study.is_of_images else _OF_TRANSLATIONS),
        ("model", "T", *(quantity.title for quantity in quantities), "p"),
        cells,
        whole=False,
        split=study.split,
    )


def _greatest_p(rows: Sequence[Row], seed: int = 1) -> str:
    """The greatest p-value of the runs: small only where each of them is seen to be miscalibrated."""
    greatest = max(p_value(row.record.bins, np.random.default_rng(seed)) for row in rows)
    return number(greatest, 4)
