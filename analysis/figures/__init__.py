"""The figures of a study, one module each, in the order of the report."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..study import Study
from . import activations, ece_bleu, information, reliability, selective, sizes, teaching, temperature
from .layout import Drawing


class Part(NamedTuple):
    """A figure of some studies: what it shows, and the records that it needs."""

    drawing: Callable[[Study], Drawing]
    shows: str
    needs: str


FIGURES = {
    "ece_bleu": Part(
        ece_bleu.drawing,
        "BLEU and perplexity against forced ECE, a point a model, temperature and seed",
        "records in forced and in beam mode, both at one temperature",
    ),
    "sizes": Part(
        sizes.drawing,
        "BLEU, NLL, forced ECE and the fitted T against the number of training pairs",
        "records in forced mode of smoothing 0.0 and 0.1 with several sizes of one corpus (recipes/when)",
    ),
    "reliability": Part(
        reliability.drawing,
        "accuracy against confidence (the paper's Figures 2 and 3)",
        "records in forced mode or of images, of smoothing 0.0 or 0.1; with --by run of any model",
    ),
    "temperature": Part(
        temperature.drawing,
        "BLEU, forced ECE and NLL against temperature (Figure 4)",
        "records in forced and in beam mode at several temperatures",
    ),
    "selective": Part(
        selective.drawing,
        "the risk of what is kept against how much is kept",
        "records in beam mode with scores of the sentences, or of images with the sums of each image",
    ),
    "penultimate": Part(
        activations.drawing,
        "penultimate activations on a plane (Figures 1 and 7)",
        "activations, or images with planes, on train and valid, of smoothing 0.0 and of 0.1",
    ),
    "teaching": Part(
        teaching.drawing,
        "accuracy of teachers and students against smoothing (Figure 5)",
        "records of networks that were taught by a network's probabilities",
    ),
    "information": Part(
        information.drawing,
        "mutual information of input and logits during training (Figure 6)",
        "records in mode information (python -m mt_ls.vision --information)",
    ),
}
"""The figures by name."""
_OF_IMAGES = ("penultimate", "reliability", "selective", "teaching", "information")
_OF_SIZES = ("sizes", "ece_bleu")
_OF_TRANSLATIONS = ("reliability", "temperature", "ece_bleu", "selective", "penultimate")


def drawings(study: Study) -> list[Drawing]:
    """The figures that the report of a study has, drawn where their records were measured."""
    names = _OF_IMAGES if study.is_of_images else _OF_SIZES if len(study.sizes) > 1 else _OF_TRANSLATIONS
    return [FIGURES[name].drawing(study) for name in names]
