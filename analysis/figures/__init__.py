"""The figures of a study, one module each, in the order of the report."""

from __future__ import annotations

from ..study import Study
from . import activations, information, quality, reliability, teaching, temperature
from .layout import Drawing


def drawings(study: Study) -> list[Drawing]:
    """The figures that the report of a study has, drawn where their records were measured."""
    if study.is_of_images:
        return [part.drawing(study) for part in (activations, reliability, teaching, information)]
    return [part.drawing(study) for part in (reliability, temperature, quality, activations)]
