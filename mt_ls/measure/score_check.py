"""Do the probabilities of a file belong to its tokens? The scores of its sentences tell, or the model that wrote them.

At least two projects printed the probabilities of other tokens: a file is measured only where nothing contradicts it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch

from ..records import RecordError

END = "</s>"
_ENOUGH = 0.9
"""The share of sentences, or tokens, that must agree: a file may be rounded, and a score cut."""
_SCORE_TOLERANCE = 0.02
_TOKEN_TOLERANCE = 0.1
"""A tenth of a nat and a tenth of the value: a model in half precision, or quantised, differs by less."""
_UNSURE = -0.5
"""Tokens of a greater log-probability, in nats, agree under any reading: they tell nothing."""
_END_AT_LEAST = -3.0
"""The log-probability that the end of a sentence has at least, in nats: a search ends where it is probable."""


class Token(NamedTuple):
    """A token as the system wrote it, and its probability."""

    text: str
    probability: float

    @property
    def log_probability(self) -> float:
        """In nats; of a probability of 0 that of 1e-30."""
        return math.log(max(self.probability, 1e-30))


class Sentence(NamedTuple):
    """The tokens of a hypothesis, and its score in nats: None if not known."""

    tokens: list[Token]
    score: float | None = None


_NOT_NATURAL = "the scores of tokens are logarithms of base {}, not natural ones"
_DIVIDED = "the scores of tokens are divided by the length of their sentence already"
_NO_END = f"the score of {END} is missing: the scores of sentences count it"
_OTHERS = "the probabilities do not belong to these tokens"

_SUMS: dict[str, Callable[[list[float]], float]] = {
    "": sum,
    _NOT_NATURAL.format(2): lambda logs: sum(logs) * math.log(2),
    _NOT_NATURAL.format(10): lambda logs: sum(logs) * math.log(10),
    _DIVIDED: lambda logs: sum(logs) * len(logs),
}
"""The log-probability of a sentence by those of its tokens: rightly, and with each fault."""


def check_scores(name: str, sentences: Sequence[Sentence], kinds: Sequence[str]) -> None:
    """Raise RecordError where the scores of sentences do not follow from the probabilities of their tokens.

    ``kinds`` says what a score is: the "mean" or the "sum" of the log-probabilities, or one of both. ``name`` is that
    of the file.
    """
    known = [(number, one) for number, one in enumerate(sentences) if one.score is not None and one.tokens]
    if not known:
        return
    agreeing = {
        (fault, kind): [number for number, one in known if _follows(one, kind, reading)]
        for fault, reading in _SUMS.items()
        for kind in kinds
    }
    enough = _ENOUGH * len(known)
    if any(len(agreeing["", kind]) >= enough for kind in kinds):
        return
    fault = next((fault for (fault, _), numbers in agreeing.items() if fault and len(numbers) >= enough), None)
    if fault is None:
        ends = max(sum(_lacks_end(one, kind) for _, one in known) for kind in kinds)
        fault = _NO_END if ends >= enough else _OTHERS
    number, one = next((number, one) for number, one in known if number not in agreeing["", kinds[0]])
    total = sum(token.log_probability for token in one.tokens)
    raise RecordError(
        f"{name}: {fault} (in sentence {number} the log-probabilities of {len(one.tokens)} tokens have the sum "
        f"{total:.3f} and the mean {total / len(one.tokens):.3f}, and its score is {one.score:.3f}; "
        f"{len(known) - len(agreeing['', kinds[0]])} of {len(known)} sentences disagree)"
    )


def _follows(sentence: Sentence, kind: str, reading: Callable[[list[float]], float]) -> bool:
    logs = [token.log_probability for token in sentence.tokens]
    score = sentence.score or 0.0
    expected = reading(logs) / (len(logs) if kind == "mean" else 1)
    return abs(expected - score) <= _SCORE_TOLERANCE * max(1.0, abs(score))


def _lacks_end(sentence: Sentence, kind: str) -> bool:
    """Whether the score is that of the tokens and of an end that is not among them."""
    if any(token.text == END for token in sentence.tokens):
        return False
    n = len(sentence.tokens) + 1
    of_end = (sentence.score or 0.0) * (n if kind == "mean" else 1)
    of_end -= sum(token.log_probability for token in sentence.tokens)
    return _END_AT_LEAST <= of_end <= _SCORE_TOLERANCE


_READINGS: dict[str, Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]] = {
    "": lambda given, by_model: (given, by_model),
    "the probability of a token is that of the next one": lambda given, by_model: (given[:-1], by_model[1:]),
    "the probability of a token is that of the one before": lambda given, by_model: (given[1:], by_model[:-1]),
    _NOT_NATURAL.format(2): lambda given, by_model: (given * math.log(2), by_model),
    _NOT_NATURAL.format(10): lambda given, by_model: (given * math.log(10), by_model),
    _DIVIDED: lambda given, by_model: (given * len(given), by_model),
}
"""The log-probabilities (L,) that a file gives, and those of a model that it should then give: rightly, and with each
fault."""


def check_against_model(name: str, sentences: Sequence[Sentence], log_probabilities: Mapping[int, torch.Tensor]) -> str:
    """Return one line that says how many tokens agree with a model. Raise RecordError where they do not.

    ``log_probabilities`` are the model's for the tokens (L,) of some sentences, in nats.
    """
    given = {
        number: torch.tensor([token.log_probability for token in sentences[number].tokens])
        for number in log_probabilities
    }
    counts = {
        fault: _agreeing([reading(given[number], own) for number, own in log_probabilities.items()])
        for fault, reading in _READINGS.items()
    }
    right, n = counts[""]
    said = f"{right} of {n} tokens with a probability below {math.exp(_UNSURE):.2f} agree with the model"
    if right >= _ENOUGH * n:
        return said
    fault, (most, of) = max(counts.items(), key=lambda item: item[1][0] / max(item[1][1], 1))
    found = bool(fault) and most >= _ENOUGH * of
    number, place = next(
        (number, int(wrong[0]))
        for number, own in log_probabilities.items()
        if len(wrong := (~_agree(given[number], own)).nonzero())
    )
    evidence = (
        f"sentence {number}, token {sentences[number].tokens[place].text!r}: {given[number][place]:.3f} nats, and "
        f"{log_probabilities[number][place]:.3f} by the model; {said}{f', and so {most} of {of}' if found else ''}"
    )
    raise RecordError(f"{name}: {fault if found else _OTHERS} ({evidence})")


def _agreeing(pairs: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> tuple[int, int]:
    """How many of the tokens that tell something agree, and their number."""
    given, by_model = (torch.cat(column) for column in zip(*pairs, strict=True))
    tell = torch.minimum(given, by_model) < _UNSURE
    return int((_agree(given, by_model) & tell).sum()), int(tell.sum())


def _agree(given: torch.Tensor, by_model: torch.Tensor) -> torch.Tensor:
    return (given - by_model).abs() <= _TOKEN_TOLERANCE * (1 + by_model.abs())
