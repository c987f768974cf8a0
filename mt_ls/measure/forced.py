"""Forced mode: predictions of each token after the correct prefix, at many temperatures from one pass."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from msgspec.structs import replace
from tqdm import tqdm

from ..calibration.full_vocabulary import greatest_logits, mass_sums
from ..calibration.hits import is_hit
from ..calibration.tally import Tally
from ..calibration.temperature import TokenStatistics, at_temperatures, fit_temperature
from ..records import Record, append
from ..records.items import ItemsWriter, item_writers
from ..smoothing.chunks import chunk_rows
from ..smoothing.products import project
from .protocol import ForcedTokens, TranslationModel
from .windows import Window, windows
from .workers import ALONE, Workers

_KEPT_BYTES = 2**28
"""The predictions of a split are kept for the next pass if they fit in this."""


class TokenLogits(NamedTuple):
    """Logits (N, K) of N predictions, their ``target`` (N,) and their ``sentence`` (N,)."""

    logits: torch.Tensor
    target: torch.Tensor
    sentence: torch.Tensor


class ForcedPass:
    """Passes over a split, each over this worker's share of the batches.

    A pass may keep its predictions, so that the next one costs no forward computation.
    """

    def __init__(self, model: TranslationModel, split: str, workers: Workers = ALONE) -> None:
        self.model = model
        self.split = split
        self.workers = workers
        self._kept: list[tuple[Window, list[ForcedTokens]]] | None = None

    def windows(self, keep: bool = False) -> Iterator[tuple[Window, list[ForcedTokens]]]:
        """Each window of the split with the predictions of its batches; ``keep`` them, if they are small."""
        if self._kept is not None:
            yield from self._kept
            return
        kept: list[tuple[Window, list[ForcedTokens]]] = []
        size = 0
        for window in windows(self.model, self.split, self.workers):
            batches = [self.model.forced(self.split, sentences) for sentences in window.batches]
            size += sum(column.nbytes for tokens in batches for column in tokens)
            keep = keep and size <= _KEPT_BYTES
            kept = [*kept, (window, batches)] if keep else []
            yield window, batches
        self._kept = kept if keep else None

    @torch.no_grad()
    def logits(self, tokens: ForcedTokens) -> Iterator[TokenLogits]:
        """The logits of predictions, a chunk of rows at a time."""
        projection = self.model.projection
        step = chunk_rows(self.model.n_classes, tokens.states.device)
        for start in range(0, len(tokens.target), step):
            states, target, sentence = (column[start : start + step] for column in tokens)
            yield TokenLogits(states if projection is None else project(states, projection), target, sentence)

    def fit_temperature(self) -> float:
        """The temperature of least NLL on the even-numbered sentences: the odd-numbered ones can report on it."""

        def pairs() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
            for _, batches in self.windows(keep=True):
                for tokens in batches:
                    even = (tokens.sentence % 2 == 0).nonzero()[:, 0]
                    for logits, target, _ in self.logits(ForcedTokens(*(column[even] for column in tokens))):
                        yield logits, target

        return fit_temperature(pairs)


def measure_forced(forced: ForcedPass, planned: Sequence[Record], records: Path) -> None:
    """Measure the planned records in one pass, and append them to ``records`` with their items beside it.

    All are of the split of ``forced``, at different temperatures. Only the first worker writes. Items have values of
    each token at T = 1 and at the fitted temperature.
    """
    start = time.perf_counter()
    temperatures = [record.temperature for record in planned]
    tallies = [Tally() for _ in planned]
    with (
        item_writers(records, planned if forced.workers.is_first else []) as writers,
        tqdm(total=planned[0].n_sentences, desc=f"forced {forced.split}", unit="sentence", disable=None) as bar,
    ):
        for window, batches in forced.windows():
            parts = forced.workers.gather(_statistics(forced, batches, temperatures))
            if parts:
                tokens = _sorted_tokens(window, [part for of_worker in parts for part in of_worker])
                for i, (tally, writer) in enumerate(zip(tallies, writers, strict=True)):
                    _add(tally, writer, window, tokens, i, planned[i])
            bar.update(window.n)
        seconds = round(time.perf_counter() - start, 2)
    if forced.workers.is_first:
        for record, tally in zip(planned, tallies, strict=True):
            append(records, replace(record, **tally.fields(), items=f"{record.name}.parquet", seconds=seconds))


class _Tokens(NamedTuple):
    """Statistics of N predictions at each of T temperatures (see `TokenStatistics`).

    ``is_eos`` (N,) says which predictions are EOS, ``greatest`` (B, N) is `greatest_logits`, ``target`` and
    ``sentence`` are (N,).
    """

    nll: torch.Tensor
    confidence: torch.Tensor
    brier: torch.Tensor
    hit: torch.Tensor
    is_eos: torch.Tensor
    greatest: torch.Tensor
    target: torch.Tensor
    sentence: torch.Tensor


def _statistics(forced: ForcedPass, batches: list[ForcedTokens], temperatures: list[float]) -> list[_Tokens]:
    """The statistics of batches, on the CPU: all temperatures of a chunk while its logits are in cache.

    They leave a GPU together, so that it computes without waiting for the host.
    """
    parts = []
    for logits, target, sentence in itertools.chain.from_iterable(map(forced.logits, batches)):
        greatest = greatest_logits(logits)
        is_eos = is_hit(logits[:, forced.model.eos].float(), greatest[0])
        parts.append(_Tokens(*at_temperatures(logits, target, temperatures), is_eos, greatest, target, sentence))
    return [_Tokens(*(torch.cat(column, dim=-1).cpu() for column in zip(*parts, strict=True)))] if parts else []


def _sorted_tokens(window: Window, parts: list[_Tokens]) -> _Tokens:
    """The tokens of a window in the order of their sentences, whichever worker computed them."""
    columns = [torch.cat(part, dim=-1) for part in zip(*parts, strict=True)]
    sentence = columns[-1]
    window.check_whole(sentence.unique().tolist())
    order = torch.argsort(sentence, stable=True)
    return _Tokens(*(column[..., order] for column in columns))


def _add(tally: Tally, writer: ItemsWriter, window: Window, tokens: _Tokens, i: int, record: Record) -> None:
    """Add the tokens of a window at temperature number ``i``, that of the record."""
    statistics = TokenStatistics(tokens.nll[i], tokens.confidence[i], tokens.brier[i], tokens.hit)
    sentence = tokens.sentence - window.first
    mass = mass_sums(statistics, tokens.greatest, record.temperature)
    bins, nll = tally.add(statistics, sentence, window.n, tokens.is_eos, mass)
    if record.temperature not in (1.0, record.fitted_temperature):
        writer.append(bins=bins, nll=nll)
        return
    columns = {
        "token": tokens.target.numpy(),
        "token_confidence": statistics.confidence.clamp(max=1.0).numpy(),
        "token_hit": statistics.hit.numpy(),
        "token_nll": statistics.nll.numpy(),
    }
    lengths = torch.bincount(sentence, minlength=window.n).numpy()
    writer.append(bins=bins, nll=nll, tokens=columns, lengths=lengths)
