"""A sample of the translations of a file, scored again by the model that wrote them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .protocol import MeasureError, TranslationModel
from .score_check import END, Sentence
from .windows import regrouped

_SAMPLE = 48
"""Sentences of a sample."""


def rescored(model: TranslationModel, split: str, sentences: Sequence[Sentence]) -> dict[int, torch.Tensor]:
    """Return the model's log-probabilities, in nats, of the tokens (L,) of a sample of the sentences of a split.

    Raises MeasureError for translations of other sources, and for tokens that the model does not have.
    """
    n = model.n_sentences(split)
    if n != len(sentences):
        raise MeasureError(f"{len(sentences)} translations, and the sources of the model are {n}: name theirs")
    translated = [number for number in range(n) if sentences[number].tokens]
    sample = translated[:: max(1, len(translated) // _SAMPLE)][:_SAMPLE]
    ids = {number: _ids(model, number, sentences[number]) for number in sample}
    found: dict[int, torch.Tensor] = {}
    for batch in regrouped(model.batches(split, range(n)), sample):
        scores = model.token_scores(split, batch, [ids[number] for number in batch], 1.0)
        found |= {number: own.probability.log() for number, own in zip(batch, scores, strict=True)}
    return {number: found[number] for number in sample}


def _ids(model: TranslationModel, number: int, sentence: Sentence) -> torch.Tensor:
    ids = [model.eos if token.text == END else model.token_id(token.text) for token in sentence.tokens]
    if None in ids:
        token = sentence.tokens[ids.index(None)].text
        raise MeasureError(f"the model has no token {token!r:.40} of sentence {number}: name the one that wrote it")
    return torch.tensor(ids)
