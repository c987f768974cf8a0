"""`LogitsModel`: the methods that models of Hugging Face and of CTranslate2 share, from the logits of whole targets."""

from __future__ import annotations

from abc import abstractmethod

import torch

from ..calibration.confidence import TokenScores, token_scores
from .data import OnData, batches_by_length
from .protocol import BatchLimits, ForcedTokens, MeasureError, Search

_LOGITS = 2**26
"""A batch has at most so many logits: 256 MB, with a vocabulary of any size."""


class LogitsModel(OnData):
    """The methods of `TranslationModel` that follow from the logits of a target. There is one search."""

    projection = None
    eos: int
    n_classes: int
    most_tokens: int
    """The most tokens of a batch, with padding."""

    def __init__(self, limits: BatchLimits | None) -> None:
        self._limits = limits or BatchLimits()
        self._lengths: dict[str, list[int]] = {}

    @abstractmethod
    def logits(self, split: str, sentences: list[int], targets: list[list[int]]) -> list[torch.Tensor]:
        """Return the logits (L, V) of the tokens of one target of each sentence, after its correct beginnings."""

    @abstractmethod
    def check_split(self, split: str, lengths: list[int]) -> None:
        """Raise MeasureError for a split, of sentences of these lengths, that the model cannot be measured on."""

    @abstractmethod
    def own_search(self, beam: int, lenpen: float) -> Search:
        """Return the search of the model's library."""

    def batches(self, split: str, sentences: range) -> list[list[int]]:
        """See `TranslationModel`. Sentences of similar length share a batch."""
        if split not in self._lengths:
            lengths = self.data.lengths(split)
            self.check_split(split, lengths)
            self._lengths[split] = lengths
        most = min(self.most_tokens, _LOGITS // self.n_classes)
        return batches_by_length(self._lengths[split], sentences, most, self._limits)

    def forced(self, split: str, sentences: list[int]) -> ForcedTokens:
        """See `TranslationModel`. The states are logits."""
        targets = [[*self.target(split, sentence), self.eos] for sentence in sentences]
        states = torch.cat(self.logits(split, sentences, targets))
        lengths = torch.tensor([len(target) for target in targets])
        ids = torch.tensor([token for target in targets for token in target])
        sentence = torch.tensor(sentences).repeat_interleave(lengths)
        return ForcedTokens(states, ids.to(states.device), sentence.to(states.device))

    def token_scores(
        self, split: str, sentences: list[int], hypotheses: list[torch.Tensor], temperature: float
    ) -> list[TokenScores]:
        """See `TranslationModel`. One teacher-forced pass over the hypotheses."""
        logits = self.logits(split, sentences, [ids.tolist() for ids in hypotheses])
        scored = (
            token_scores(own, ids.to(own.device), temperature) for own, ids in zip(logits, hypotheses, strict=True)
        )
        return [TokenScores(*(column.cpu() for column in of_sentence)) for of_sentence in scored]

    def search(self, beam: int, lenpen: float, precision: str | None = None) -> Search:
        """See `TranslationModel`."""
        if precision:
            raise MeasureError(f"a search in {precision} is one of fairseq's checkpoints: leave out --search-precision")
        return self.own_search(beam, lenpen)

    def fast_search(self, beam: int, lenpen: float) -> None:
        """See `TranslationModel`. There is none."""
