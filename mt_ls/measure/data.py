"""`TranslationData`: the sentences of splits in tokens; `OnData`: the methods of a model that its data answer.

Methods with a ``split`` raise MeasureError for a split that does not exist. A sentence is its number in its split,
counted from 0. A token is its id in the target vocabulary of the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from .protocol import BatchLimits, MeasureError


@dataclass(frozen=True)
class DataIdentity:
    """The fields of a record that the data know: the hash, the unit of a token, the kinds of text in the split.

    ``pairs`` and ``vocabulary`` are those of `Model`.
    """

    corpus: str
    sha: str
    unit: str
    parts: dict[str, int] | None = None
    pairs: int | None = None
    vocabulary: int | None = None


class TranslationData(Protocol):
    """Sources and references of splits, tokenised for a model."""

    prefix: list[int]
    """The target tokens that a model is given before each target, such as its language."""

    def identity(self, split: str) -> DataIdentity:
        """Return the fields of a record that describe the data."""
        ...

    def n_sentences(self, split: str) -> int:
        """Return the number of sentences of a split."""
        ...

    def lengths(self, split: str) -> list[int]:
        """Return the number of tokens of each sentence that a batch pads: of its source or target, EOS included."""
        ...

    def target(self, split: str, sentence: int) -> list[int]:
        """Return the token ids of a reference, without prefix and EOS."""
        ...

    def references(self, split: str) -> list[str]:
        """Return the detokenised references of a split, in order."""
        ...

    def text_of(self, ids: torch.Tensor) -> str:
        """Return the detokenised text of token ids; a final EOS has no text."""
        ...

    def token_id(self, token: str) -> int | None:
        """Return the id of a token of the target vocabulary, None for another text."""
        ...

    def token(self, number: int) -> str:
        """Return the target token of an id."""
        ...

    def source_tokens(self, split: str, sentence: int) -> list[str]:
        """Return the tokens of a source as CTranslate2 takes them."""
        ...


class OnData:
    """The methods of `TranslationModel` that only ask ``data``."""

    data: TranslationData
    searches_at_temperatures = True

    def n_sentences(self, split: str) -> int:
        """See `TranslationModel`."""
        return self.data.n_sentences(split)

    def target(self, split: str, sentence: int) -> list[int]:
        """See `TranslationModel`."""
        return self.data.target(split, sentence)

    def references(self, split: str) -> list[str]:
        """See `TranslationModel`."""
        return self.data.references(split)

    def text_of(self, ids: torch.Tensor) -> str:
        """See `TranslationModel`."""
        return self.data.text_of(ids)

    def token_id(self, token: str) -> int | None:
        """See `TranslationModel`."""
        return self.data.token_id(token)


def batches_by_length(lengths: Sequence[int], sentences: range, most: int, limits: BatchLimits) -> list[list[int]]:
    """Return ``sentences`` in batches of similar ``lengths``, of at most ``most`` tokens with padding.

    A longer sentence is a batch of its own, unless ``limits`` forbids it: then MeasureError is raised.
    """
    longest = max(range(len(lengths)), key=lengths.__getitem__)
    if limits.max_tokens and lengths[longest] > limits.max_tokens:
        raise MeasureError(
            f"--max-tokens {limits.max_tokens}: sentence {longest} has {lengths[longest]} tokens: allow at least "
            f"{lengths[longest]}"
        )
    most = limits.max_tokens or most
    batches: list[list[int]] = []
    for sentence in sorted(sentences, key=lambda s: (lengths[s], s)):
        batch = batches[-1] if batches else []
        if not batch or (len(batch) + 1) * lengths[sentence] > most or len(batch) == limits.max_sentences:
            batches.append(batch := [])
        batch.append(sentence)
    return batches
