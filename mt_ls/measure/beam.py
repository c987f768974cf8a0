"""Beam mode: searches at temperatures, scores of their translations, and hits of their tokens by TER alignment."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from msgspec.structs import replace
from tqdm import tqdm

from ..calibration.bins import FINE_BINS, Bins
from ..calibration.confidence import TokenScores, scores
from ..calibration.generated import GeneratedTokens
from ..calibration.scores import Statistics
from ..calibration.smooth_ece import smooth_ece
from ..calibration.token_risk import TokenRisk, uncertainties
from ..records import Record, append
from ..records.items import ItemsWriter, item_writers
from .protocol import Search, TranslationModel
from .references import Comparison, References
from .windows import Window, windows
from .workers import ALONE, Workers


class Hypothesis(NamedTuple):
    """The token ids (L,) of a hypothesis, the scores of each, and its comparison with the reference."""

    ids: torch.Tensor
    tokens: TokenScores
    comparison: Comparison


class _Sums:
    """The sums of the hypotheses of one search: bins of each token class, scores, and counts of tokens."""

    def __init__(self) -> None:
        self.bins: dict[str, Bins] = {}
        self.fine = Bins.zeros(FINE_BINS)
        self.risk = TokenRisk()
        self.scores: Statistics = {}
        self.n_tokens = self.n_left_out = 0

    def add(self, tokens: GeneratedTokens, sums: dict[str, torch.Tensor], hypotheses: list[Hypothesis]) -> None:
        """Add a window: its tokens, their sums of each sentence, and its hypotheses."""
        self.bins = {
            name: self.bins.get(name, Bins.zeros()) + Bins.from_sums(part.sum(0)) for name, part in sums.items()
        }
        self.fine = self.fine + Bins.from_sums(tokens.fine_sums())
        columns = zip(*(hypothesis.tokens for hypothesis in hypotheses), strict=True)
        scored = TokenScores(*(torch.cat(column, dim=-1)[..., tokens.others] for column in columns))
        self.risk.add(uncertainties(scored), tokens.hit[tokens.others])
        for name in hypotheses[0].comparison.statistics:
            added = np.sum([hypothesis.comparison.statistics[name] for hypothesis in hypotheses], axis=0)
            self.scores[name] = added + self.scores.get(name, np.zeros_like(added))
        self.n_tokens += len(tokens.hit)
        self.n_left_out += tokens.n_left_out


def measure_beam(
    model: TranslationModel,
    search: Search,
    references: References,
    planned: Sequence[Record],
    records: Path,
    workers: Workers = ALONE,
) -> None:
    """Measure the planned records together, and append them to ``records`` with their items beside it.

    All are of one split, at different temperatures. Only the first worker writes. The bins of an item are those of the
    tokens other than EOS that TER has not shifted. At T = 1 and at the fitted temperature items have values of each
    token, the scores of the sentence and its chrF.
    """
    start = time.perf_counter()
    split, temperatures = planned[0].split, [record.temperature for record in planned]
    totals = [_Sums() for _ in planned]
    grid = f"T={temperatures[0]:g}" if len(temperatures) == 1 else f"at {len(temperatures)} temperatures"
    label = f"beam {split} {grid} ({search.name})"
    with (
        item_writers(records, planned if workers.is_first else []) as writers,
        tqdm(total=planned[0].n_sentences, desc=label, unit="sentence", disable=None) as bar,
    ):
        for window in windows(model, split, workers):
            parts = workers.gather(_hypotheses(model, search, references, split, window, temperatures))
            if parts:
                for total, writer, record, *of_workers in zip(totals, writers, planned, *parts, strict=True):
                    by_sentence = {sentence: hypothesis for part in of_workers for sentence, hypothesis in part.items()}
                    window.check_whole(sorted(by_sentence))
                    hypotheses = [by_sentence[sentence] for sentence in sorted(by_sentence)]
                    _add(total, writer, hypotheses, model.eos, record.temperature in (1.0, record.fitted_temperature))
            bar.update(window.n)
    if workers.is_first:
        seconds = round(time.perf_counter() - start, 2)
        for record, total in zip(planned, totals, strict=True):
            append(records, _measured(record, total, references, seconds))


def _measured(planned: Record, total: _Sums, references: References, seconds: float) -> Record:
    """The planned record with what was measured."""
    others = total.bins["others"]
    return replace(
        planned,
        bins=others,
        bins_by_class=total.bins,
        n_tokens=total.n_tokens,
        n_left_out=total.n_left_out,
        accuracy=others.accuracy,
        confidence=others.mean_confidence,
        smooth_ece=smooth_ece(total.fine),
        token_naurc=total.risk.normalised_areas(),
        **references.scores(total.scores),
        items=f"{planned.name}.parquet",
        seconds=seconds,
    )


def _hypotheses(
    model: TranslationModel,
    search: Search,
    references: References,
    split: str,
    window: Window,
    temperatures: Sequence[float],
) -> list[dict[int, Hypothesis]]:
    """The hypothesis of each sentence in the window's batches, at each temperature.

    The comparisons are begun as hypotheses are found, and are waited for when the device has done its part.
    """
    ids: list[dict[int, torch.Tensor]] = [{} for _ in temperatures]
    begun: list[dict[int, Future[Comparison]]] = [{} for _ in temperatures]
    for sentence, number, tokens in search.best(split, window.batches, temperatures):
        ids[number][sentence] = tokens
        begun[number][sentence] = references.compare(sentence, *tokens.tolist())
    references.flush()
    scored = [
        _token_scores(model, split, window, of_sentences, temperature)
        for of_sentences, temperature in zip(ids, temperatures, strict=True)
    ]
    return [
        {s: Hypothesis(tokens[s], of_tokens[s], references.result(comparison[s])) for s in tokens}
        for tokens, of_tokens, comparison in zip(ids, scored, begun, strict=True)
    ]


def _token_scores(
    model: TranslationModel, split: str, window: Window, ids: dict[int, torch.Tensor], temperature: float
) -> dict[int, TokenScores]:
    """The scores of the tokens ``ids`` of each sentence of the window's batches."""
    scored: dict[int, TokenScores] = {}
    for batch in window.batches:
        of_batch = model.token_scores(split, batch, [ids[sentence] for sentence in batch], temperature)
        scored.update(zip(batch, of_batch, strict=True))
    return scored


def _add(total: _Sums, writer: ItemsWriter, hypotheses: list[Hypothesis], eos: int, keeps_tokens: bool) -> None:
    """Add the hypotheses of a window, in the order of their sentences."""
    comparisons = [hypothesis.comparison for hypothesis in hypotheses]
    ids = torch.cat([hypothesis.ids for hypothesis in hypotheses])
    lengths = torch.tensor([len(hypothesis.ids) for hypothesis in hypotheses])
    tokens = GeneratedTokens(
        probability=torch.cat([hypothesis.tokens.probability for hypothesis in hypotheses]),
        hit=torch.tensor([hit for comparison in comparisons for hit in comparison.hit]),
        kept=torch.tensor([kept for comparison in comparisons for kept in comparison.kept]),
        eos=ids == eos,
        sentence=torch.arange(len(hypotheses)).repeat_interleave(lengths),
    )
    sums = tokens.sums(len(hypotheses))
    total.add(tokens, sums, hypotheses)
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
        scores=torch.stack([scores(hypothesis.tokens) for hypothesis in hypotheses]).numpy() if keeps_tokens else None,
        chrf=np.array([comparison.chrf for comparison in comparisons]) if keeps_tokens else None,
        tokens=columns if keeps_tokens else None,
        lengths=lengths.numpy() if keeps_tokens else None,
    )
