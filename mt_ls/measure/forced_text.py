"""Forced mode without a model: the file forced.jsonl of a folder of translations, one line a token of a reference.

    {"sentence": 0, "nll": 0.51, "confidence": 0.6, "hit": true}

``nll`` is that of the reference's token in nats, ``confidence`` the greatest probability at that step, and ``hit``
whether it is the token's. The tokens of a sentence come in any order, EOS among them.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from msgspec.structs import replace

from ..calibration.tally import Tally
from ..calibration.temperature import TokenStatistics
from ..records import Record, RecordError
from .token_files import lines_of

FORCED = "forced.jsonl"
_SLACK = 0.02
"""Numbers of a file are rounded: a hit's NLL and -ln of its confidence may differ by so much."""


def read_forced(path: Path, n_sentences: int) -> tuple[TokenStatistics, torch.Tensor]:
    """Return the statistics of the tokens of a file, without a Brier score (NaN), and their sentences (N,).

    Raises RecordError, with file and line, for a line that is no such token, and where numbers contradict each other:
    probabilities of other tokens, another base of the logarithm. Each sentence needs a token.
    """
    columns: list[tuple[int, float, float, bool]] = []
    for number, line in enumerate(lines_of(path), start=1):
        try:
            columns.append(_token(line, n_sentences))
        except (ValueError, KeyError, RecursionError) as error:
            reason = f"no {error}" if isinstance(error, KeyError) else error
            raise RecordError(f"{path}:{number}: {reason}") from None
    sentence, nll, confidence, hit = (list(column) for column in zip(*columns, strict=True))
    absent = sorted(set(range(n_sentences)) - set(sentence))
    if absent:
        raise RecordError(f"{path}: no token of sentence {absent[0]}: every sentence counts")
    numbers = torch.tensor([nll, confidence], dtype=torch.float64)
    unknown = torch.full_like(numbers[0], math.nan)
    return TokenStatistics(numbers[0], numbers[1], unknown, torch.tensor(hit)), torch.tensor(sentence)


def _token(line: str, n_sentences: int) -> tuple[int, float, float, bool]:
    fields = json.loads(line)
    if type(fields) is not dict:
        raise ValueError("no JSON object")
    sentence, nll, confidence, hit = (fields[name] for name in ("sentence", "nll", "confidence", "hit"))
    if type(sentence) is not int or not 0 <= sentence < n_sentences:
        raise ValueError(f"no sentence {sentence!r:.40} of {n_sentences}")
    if type(nll) not in (int, float) or not 0 <= nll < math.inf:
        raise ValueError(f"nll {nll!r:.40} is no number of nats, 0 or more")
    if type(confidence) not in (int, float) or not 0 < confidence <= 1:
        raise ValueError(f"confidence {confidence!r:.40} is no number above 0, at most 1")
    if type(hit) is not bool:
        raise ValueError(f"hit {hit!r:.40} is neither true nor false")
    least = -math.log(confidence)
    if nll < least - _SLACK or (hit and nll > least + _SLACK):
        bound = "of a hit is" if hit else "of a token is at least"
        raise ValueError(
            f"nll {nll:g} and confidence {confidence:g} contradict each other: the NLL {bound} -ln of the confidence, "
            f"{least:.3f}. Other tokens' values, or another base than e?"
        )
    return sentence, float(nll), float(confidence), hit


def measured_forced(path: Path, planned: Record) -> tuple[Record, dict[str, Any]]:
    """Return the planned record of mode "forced" with the numbers of the file, and the columns of its items."""
    statistics, sentence = read_forced(path, planned.n_sentences)
    tally = Tally()
    bins, nll = tally.add(statistics, sentence, planned.n_sentences)
    return replace(planned, **{**tally.fields(), "brier": None}), {"bins": bins, "nll": nll}
