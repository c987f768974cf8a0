"""The model of a path that a user names. A library is imported where it is needed: each takes seconds, and may not be
installed."""

from __future__ import annotations

from pathlib import Path

import torch

from ..quick_import import without_statistics
from .paths import check_checkpoint, check_data, is_ctranslate2
from .protocol import BatchLimits, MeasureError, TranslationModel
from .text_pairs import Texts


def check_model(path: Path) -> None:
    """Raise MeasureError for a path that is neither a folder of CTranslate2 nor can be a checkpoint's file."""
    if not is_ctranslate2(path):
        check_checkpoint(path)


def on_binarised(
    path: Path, data: Path, limits: BatchLimits, device: torch.device, run: str | None
) -> TranslationModel:
    """Return the model of a fairseq checkpoint, or of a folder of CTranslate2, on a folder of binarised data."""
    if is_ctranslate2(path):
        check_data(data)
        from .ctranslate2_model import CTranslate2Model

        with without_statistics():
            from .fairseq_data import read_data

        return CTranslate2Model(path, read_data(data), limits, run)
    with without_statistics():
        from .fairseq_model import FairseqModel

    return FairseqModel(path, data, limits, device, run)


def on_texts(
    name: str,
    texts: Texts,
    languages: tuple[str | None, str | None],
    limits: BatchLimits,
    device: torch.device,
    run: str | None,
) -> TranslationModel:
    """Return a model of Hugging Face, or of a folder of CTranslate2 with its tokenizer's files, on text files.

    Raises MeasureError for a kind of model that CTranslate2 was not tried with.
    """
    if is_ctranslate2(Path(name)):
        from .ctranslate2_model import CTranslate2Model
        from .huggingface_data import HuggingFaceData

        tokens = HuggingFaceData(name, texts, languages)
        if tokens.start is not None:
            raise MeasureError(
                f"{name}: its tokenizer chooses the decoder's first token, as mBART's does, which CTranslate2 was not "
                "tried with: name the Hugging Face model itself"
            )
        return CTranslate2Model(Path(name), tokens, limits, run)
    from .huggingface_model import HuggingFaceModel

    return HuggingFaceModel(name, texts, languages, limits, device, run)
