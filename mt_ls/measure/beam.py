"""Beam mode: a search at each temperature, scores of its translations, and hits of its tokens by TER alignment."""

from __future__ import annotations

import functools
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from msgspec.structs import replace
from tqdm import tqdm

from ..calibration.alignment import align_ids
from ..calibration.bins import Bins
from ..calibration.generated import GeneratedTokens
from ..calibration.scores import Scorer, Statistics
from ..records import Record, append
from ..records.items import ItemsWriter, item_writers
from .protocol import Search, TranslationModel
from .windows import Window, windows
from .workers import ALONE, Workers

_REMEMBERED = 2**13
"""Hypotheses whose comparison is remembered: most are the same at the next temperature."""


class Comparison(NamedTuple):
    """A hypothesis compared with its reference: its text, flags (L,) of its tokens, and its part of the scores.

    ``hit`` and ``kept`` are those of `Alignment`.
    """

    text: str
    hit: torch.Tensor
    kept: torch.Tensor
    statistics: Statistics


class Hypothesis(NamedTuple):
    """The token ids (L,) of a hypothesis, the probability of each (L,), and its comparison with the reference."""

    ids: torch.Tensor
    probability: torch.Tensor
    comparison: Comparison


class References:
    """The references of a split, with which hypotheses are compared."""

    def __init__(self, model: TranslationModel, split: str) -> None:
        self._model = model
        self._split = split
        self._text = model.references(split)
        self._scorer = Scorer()
        self.compare = functools.lru_cache(_REMEMBERED)(self._compare)

    def _compare(self, sentence: int, *ids: int) -> Comparison:
        """Return the comparison of a sentence's hypothesis, given by its token ids."""
        model = self._model
        text = model.text_of(torch.tensor(ids))
        flags = align_ids(ids, model.target(self._split, sentence), model.eos)
        statistics = self._scorer.statistics(text, self._text[sentence])
        return Comparison(text, torch.tensor(flags.hit), torch.tensor(flags.kept), statistics)

    def scores(self, total: Statistics) -> dict[str, Any]:
        """The scores of a record (see `Scorer.scores`)."""
        return self._scorer.scores(total)


class _Sums:
    """The sums of the hypotheses of one search: bins of each token class, scores, and counts of tokens."""

    def __init__(self) -> None:
        self.bins: dict[str, Bins] = {}
        self.scores: Statistics = {}
        self.n_tokens = self.n_left_out = 0

    def add(self, tokens: GeneratedTokens, sums: dict[str, torch.Tensor], comparisons: list[Comparison]) -> None:
        """Add a window: its tokens, their sums of each sentence, and the comparisons of its hypotheses."""
        self.bins = {
            name: self.bins.get(name, Bins.zeros()) + Bins.from_sums(part.sum(0)) for name, part in sums.items()
        }
        for name in comparisons[0].statistics:
            added = np.sum([comparison.statistics[name] for comparison in comparisons], axis=0)
            self.scores[name] = added + self.scores.get(name, np.zeros_like(added))
        self.n_tokens += len(tokens.hit)
        self.n_left_out += tokens.n_left_out


def measure_beam(
    model: TranslationModel,
    search: Search,
    references: References,
    planned: Record,
    records: Path,
    workers: Workers = ALONE,
) -> None:
    """Measure the planned record, and append it to ``records`` with its items beside it.

    Only the first worker writes. The bins of an item are those of the tokens other than EOS that TER has not shifted.
    Items have values of each token at T = 1 and at the fitted temperature.
    """
    start = time.perf_counter()
    split, temperature = planned.split, planned.temperature
    keeps_tokens = temperature in (1.0, planned.fitted_temperature)
    total = _Sums()
    label = f"beam {split} T={temperature:g} ({search.name})"
    with (
        item_writers(records, [planned] if workers.is_first else []) as writers,
        tqdm(total=planned.n_sentences, desc=label, unit="sentence", disable=None) as bar,
    ):
        for window in windows(model, split, workers):
            parts = workers.gather(_hypotheses(model, search, references, split, window, temperature))
            if parts:
                by_sentence = {sentence: hypothesis for part in parts for sentence, hypothesis in part.items()}
                window.check_whole(sorted(by_sentence))
                hypotheses = [by_sentence[sentence] for sentence in sorted(by_sentence)]
                _add(total, writers[0], hypotheses, model.eos, keeps_tokens)
            bar.update(window.n)
    if workers.is_first:
        others = total.bins["others"]
        record = replace(
            planned,
            bins=others,
            bins_by_class=total.bins,
            n_tokens=total.n_tokens,
            n_left_out=total.n_left_out,
            accuracy=others.accuracy,
            confidence=others.mean_confidence,
            **references.scores(total.scores),
            items=f"{planned.name}.parquet",
            seconds=round(time.perf_counter() - start, 2),
        )
        append(records, record)


def _hypotheses(
    model: TranslationModel, search: Search, references: References, split: str, window: Window, temperature: float
) -> dict[int, Hypothesis]:
    """The hypothesis of each sentence in the window's batches."""
    best = search.best(split, window.batches, temperature)
    hypotheses = {}
    for batch in window.batches:
        ids = [best[sentence] for sentence in batch]
        probabilities = model.token_probabilities(split, batch, ids, temperature)
        for sentence, tokens, probability in zip(batch, ids, probabilities, strict=True):
            hypotheses[sentence] = Hypothesis(tokens, probability, references.compare(sentence, *tokens.tolist()))
    return hypotheses


def _add(total: _Sums, writer: ItemsWriter, hypotheses: list[Hypothesis], eos: int, keeps_tokens: bool) -> None:
    """Add the hypotheses of a window, in the order of their sentences."""
    comparisons = [hypothesis.comparison for hypothesis in hypotheses]
    ids = torch.cat([hypothesis.ids for hypothesis in hypotheses])
    lengths = torch.tensor([len(hypothesis.ids) for hypothesis in hypotheses])
    tokens = GeneratedTokens(
        probability=torch.cat([hypothesis.probability for hypothesis in hypotheses]),
        hit=torch.cat([comparison.hit for comparison in comparisons]),
        kept=torch.cat([comparison.kept for comparison in comparisons]),
        eos=ids == eos,
        sentence=torch.arange(len(hypotheses)).repeat_interleave(lengths),
    )
    sums = tokens.sums(len(hypotheses))
    total.add(tokens, sums, comparisons)
    columns = {
        "token": ids.numpy(),
        "token_confidence": tokens.probability.clamp(max=1.0).numpy(),
        "token_hit": tokens.hit.numpy(),
        "token_kept": tokens.kept.numpy(),
    }
    writer.append(
        bins=sums["others"].numpy().astype("f4"),
        bleu=np.stack([comparison.statistics["bleu"] for comparison in comparisons]).astype("i4"),
        text=[comparison.text for comparison in comparisons],
        tokens=columns if keeps_tokens else None,
        lengths=lengths.numpy() if keeps_tokens else None,
    )
