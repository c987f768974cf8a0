"""`TranslationModel`: the methods that a translation model needs so that it can be measured.

A model needs no base class. Each mode calls a part of the protocol:

- every mode: `provenance`, `n_sentences`, `n_classes`, `batches`;
- forced: `forced`, `projection` and `eos`;
- beam: `search`, `fast_search`, `token_scores`, `target`, `eos`, `text_of` and `references`;
- activations: those of forced, and `token_id`.

A sentence is its number in its split, counted from 0. A token is its id in the target vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch

from ..calibration.confidence import TokenScores
from ..records import Model


class MeasureError(Exception):
    """A model, a data set or a request that cannot be measured. The message is one line: the reason and the remedy."""


@dataclass(frozen=True)
class BatchLimits:
    """The most tokens of a batch (None: by the device) and the most sentences (None: no limit).

    They change memory and speed only. Raises ValueError for a number below 1.
    """

    max_tokens: int | None = None
    max_sentences: int | None = None

    def __post_init__(self) -> None:
        for name, limit in (("--max-tokens", self.max_tokens), ("--batch-size", self.max_sentences)):
            if limit is not None and limit < 1:
                raise ValueError(f"{name} must be at least 1, not {limit}")

    @property
    def named(self) -> bool:
        """Whether there is a limit other than the device's."""
        return self.max_tokens is not None or self.max_sentences is not None


@dataclass(frozen=True)
class Provenance:
    """The fields that all records of a model and a split share (see `mt_ls.records.Record`).

    ``sha`` holds the hashes "data", "checkpoint" and "code", ``device`` the type of the device, for example "cpu".
    ``parts`` are the numbers of sentences of each kind of text in the split, if it has several.
    """

    run: str
    model: Model
    seed: int | None
    updates: int | None
    unit: str
    device: str
    sha: dict[str, str]
    versions: dict[str, str]
    parts: dict[str, int] | None = None


class ForcedTokens(NamedTuple):
    """The predictions of a model for N target tokens after their correct prefixes, EOS included, padding left out.

    ``states`` are hidden states (N, D) that `TranslationModel.projection` turns into logits, or logits (N, K) of a
    model without a projection. ``target`` (N,) holds token ids, ``sentence`` (N,) sentence numbers.
    """

    states: torch.Tensor
    target: torch.Tensor
    sentence: torch.Tensor


class Search(Protocol):
    """A beam search. ``name`` is the distribution that implements it, for example "fairseq".

    ``at_once`` says whether a search at several temperatures costs less than one search after the other.
    """

    name: str
    at_once: bool

    def best(
        self, split: str, batches: list[list[int]], temperatures: Sequence[float]
    ) -> Iterator[tuple[int, int, torch.Tensor]]:
        """Yield the best hypothesis of each sentence of the batches at each temperature, as they are found.

        Each is the sentence, the number of the temperature, and token ids (L,) on the CPU. A hypothesis ends with EOS
        unless it reached the length limit of the search.
        """
        ...


class TranslationModel(Protocol):
    """A model and its data. Methods with a ``split`` raise MeasureError for a split that does not exist."""

    eos: int
    n_classes: int
    """The size of the target vocabulary."""
    searches_at_temperatures: bool
    """Whether searches have temperatures; a model without them is searched at T = 1 alone."""

    @property
    def projection(self) -> torch.Tensor | None:
        """The matrix (K, D) from hidden states to logits, without a bias; None where `forced` returns logits."""
        ...

    def provenance(self, split: str) -> Provenance:
        """Return the fields of a record that describe the model, the data and the code."""
        ...

    def n_sentences(self, split: str) -> int:
        """Return the number of sentences of a split."""
        ...

    def batches(self, split: str, sentences: range) -> list[list[int]]:
        """Return ``sentences`` in batches, each sentence once. The batches must be the same in every process.

        Raises MeasureError if a sentence of the split is too long for the model.
        """
        ...

    def forced(self, split: str, sentences: list[int]) -> ForcedTokens:
        """Return the predictions for every token of the references of a batch of sentences."""
        ...

    def search(self, beam: int, lenpen: float, precision: str | None = None) -> Search:
        """Return the beam search that the model comes with, in half precision where ``precision`` names one."""
        ...

    def fast_search(self, beam: int, lenpen: float) -> Search | None:
        """Return a faster search, whose hypotheses may differ, or None for a kind of model that has one search alone.

        Raises MeasureError with the reason why this model cannot have it.
        """
        ...

    def token_scores(
        self, split: str, sentences: list[int], hypotheses: list[torch.Tensor], temperature: float
    ) -> list[TokenScores]:
        """Return the scores, on the CPU, of the tokens of one hypothesis of each sentence of a batch.

        ``hypotheses`` are token ids as `Search.best` returns them. Logits are divided by the temperature.
        """
        ...

    def target(self, split: str, sentence: int) -> list[int]:
        """Return the token ids of a reference, without EOS."""
        ...

    def text_of(self, ids: torch.Tensor) -> str:
        """Return the detokenised text of token ids; a final EOS has no text."""
        ...

    def references(self, split: str) -> list[str]:
        """Return the detokenised references of a split, in order."""
        ...

    def token_id(self, token: str) -> int | None:
        """Return the id of a token of the target vocabulary, None for another text."""
        ...
