"""The choice of a beam search: the fast search of a model where it finds the hypotheses of the model's own."""

from __future__ import annotations

import torch

from .protocol import MeasureError, Search, TranslationModel
from .windows import regrouped, windows
from .workers import ALONE, Workers

_SAMPLE = 48
"""Sentences whose hypotheses are compared."""


def exact_search(
    model: TranslationModel, split: str, beam: int, lenpen: float, workers: Workers = ALONE
) -> tuple[Search, str | None]:
    """Return the fastest search that is exact, and the reason why it is not the fast one (None if it is).

    A fast search is exact if it finds the same hypotheses as the model's own search for a sample of the split.
    """
    own = model.search(beam, lenpen)
    try:
        fast = model.fast_search(beam, lenpen)
    except MeasureError as error:
        return own, str(error)
    if fast is None:
        return own, None
    different = workers.from_first(lambda: sentences_that_differ(model, split, own, fast))
    if different:
        return own, f"{fast.name} finds another hypothesis for sentence {different[0]} of {split}"
    return fast, None


def sentences_that_differ(model: TranslationModel, split: str, first: Search, second: Search) -> list[int]:
    """Return the sentences of a sample whose hypotheses of two searches differ, at T = 1."""
    window = next(windows(model, split))
    spread = range(window.first, window.first + window.n, max(1, window.n // _SAMPLE))
    sample = regrouped(window.batches, spread)
    hypotheses, others = (
        {sentence: ids for sentence, _, ids in search.best(split, sample, [1.0])} for search in (first, second)
    )
    return [sentence for sentence in sorted(hypotheses) if not torch.equal(hypotheses[sentence], others[sentence])]
