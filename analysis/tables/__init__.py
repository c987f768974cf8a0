"""The tables of a study, one module each, in the order of the report."""

from __future__ import annotations

from ..study import Study
from . import (
    accuracy,
    beams,
    calibration,
    correlations,
    estimators,
    geometry,
    main,
    selective,
    sizes,
    table_3,
    teaching,
    temperatures,
    token_classes,
)
from .layout import Table


def tables(study: Study) -> list[Table]:
    """The tables of a study that have lines."""
    if study.is_of_images:
        all_tables = [part.table(study) for part in (accuracy, calibration, estimators, selective, teaching, geometry)]
    elif len(study.sizes) > 1:
        all_tables = [sizes.table(study), sizes.of_kinds(study), *(part.table(study) for part in (main, estimators))]
    else:
        of_translation = (
            main.table,
            table_3.table,
            estimators.table,
            temperatures.table,
            selective.table,
            selective.of_tokens,
            correlations.table,
            beams.table,
            geometry.table,
            token_classes.table,
        )
        all_tables = [table(study) for table in of_translation]
    return [table for table in all_tables if table.cells]
