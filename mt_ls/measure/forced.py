"""Forced mode: next-token predictions under the correct prefix, at a whole grid of temperatures from one pass."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tqdm import tqdm

from ..calibration.tally import Tally
from ..calibration.temperature import TokenStatistics, at_temperatures, fit_temperature
from ..plugin.projection import output_projection
from ..records.record import Measurement
from ..records.spool import ArraySpool, spools
from ..smoothing.loss import chunk_rows, project
from .fairseq_model import Checkpoint, Window

_KEPT_BYTES = 2**28  # outputs of a split are kept for the next pass if they fit in this


class Outputs(NamedTuple):
    """What a model gave for the real tokens of a batch: features (N, D), or log-probabilities where its last step is
    not one matrix; the target of each token (N,), and its sentence (N,)."""

    values: torch.Tensor
    target: torch.Tensor
    sentence: torch.Tensor


class ForcedPass:
    """Passes over a split with the correct prefixes, or, where ``shared``, over this worker's part of it; one after a
    fit costs no forward if the outputs are small."""

    def __init__(self, model: Checkpoint, split: str, shared: bool = True) -> None:
        self.split = split
        self.workers = model.workers
        self._shared = shared
        self._model = model
        self.projection = output_projection(model.models[0])
        self._kept: list[tuple[Window, list[Outputs]]] | None = None

    def windows(self, keep: bool = False) -> Iterator[tuple[Window, list[Outputs]]]:
        """Each window of sentences (see `Checkpoint.windows`) and the outputs of its batches; to ``keep`` them, if they
        are small, is for a caller who comes again."""
        if self._kept is not None:
            yield from self._kept
            return
        kept: list[tuple[Window, list[Outputs]]] = []
        size = 0
        for window in self._model.windows(self.split, self._shared):
            outputs = [self._forward(sample) for sample in window.batches]
            size += sum(column.nbytes for batch in outputs for column in batch)
            keep = keep and size <= _KEPT_BYTES
            kept = [*kept, (window._replace(batches=[]), outputs)] if keep else []
            yield window, outputs
        self._kept = kept if keep else None

    @torch.no_grad()
    def _forward(self, sample: dict[str, Any]) -> Outputs:
        real = sample["target"].ne(self._model.pad)
        model = self._model.models[0]
        if self.projection is None:
            values = model.get_normalized_probs(model(**sample["net_input"]), log_probs=True)
        else:
            values = model(**sample["net_input"], features_only=True)[0]
        sentence = sample["id"].unsqueeze(1).expand_as(real)
        return Outputs(values[real], sample["target"][real], sentence[real])

    @torch.no_grad()
    def logits(self, outputs: Outputs) -> Iterator[Outputs]:
        """The same tokens with their logits (N, K) as values, a chunk at a time."""
        step = chunk_rows(len(self._model.task.target_dictionary))
        for start in range(0, len(outputs.target), step):
            values, target, sentence = (column[start : start + step] for column in outputs)
            yield Outputs(values if self.projection is None else project(values, self.projection), target, sentence)

    def fit_temperature(self) -> float:
        """The temperature of least NLL on the even-numbered sentences of this split: the others can report on it."""

        def pairs() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
            for _, batches in self.windows(keep=True):
                for outputs in batches:
                    even = outputs.sentence % 2 == 0
                    for logits, target, _ in self.logits(Outputs(*(column[even] for column in outputs))):
                        yield logits, target

        return fit_temperature(pairs)


def measure_forced(
    forced: ForcedPass, planned: Sequence[Measurement], folder: Path
) -> Iterator[tuple[Measurement, ArraySpool]]:
    """The planned measurements filled in, all from one pass, each with its arrays; for the first worker. The spools
    work in ``folder``, and are good until the next item is asked for."""
    start = time.perf_counter()
    temperatures = [measurement.temperature for measurement in planned]
    with spools(len(planned), folder) as made:
        tallies = [
            Tally(spool, keeps_each=measurement.temperature in (1.0, measurement.fitted_temperature))
            for spool, measurement in zip(made, planned, strict=True)
        ]
        with tqdm(total=planned[0].n_sentences, desc=f"forced {forced.split}", unit="sentence", disable=None) as bar:
            for window, batches in forced.windows():
                parts = forced.workers.gather(_parts(forced, batches, temperatures))
                if parts:
                    _add_window(window, [part for of_worker in parts for part in of_worker], tallies)
                bar.update(window.n)
        if not forced.workers.is_first:
            return
        seconds = round(time.perf_counter() - start, 2)
        for measurement, tally, spool in zip(planned, tallies, made, strict=True):
            yield replace(measurement, **tally.fields(), seconds=seconds), spool


def _parts(forced: ForcedPass, batches: list[Outputs], temperatures: list[float]) -> list[tuple[torch.Tensor, ...]]:
    """(nll, confidence, brier, hit, target, sentence) of each chunk: every temperature while its logits are at hand."""
    parts = [
        (*at_temperatures(logits, target, temperatures), target, sentence)
        for outputs in batches
        for logits, target, sentence in forced.logits(outputs)
    ]
    return [tuple(column.cpu() for column in part) for part in parts]


def _add_window(window: Window, parts: list[tuple[torch.Tensor, ...]], tallies: list[Tally]) -> None:
    """The tokens in the order of their sentences, whoever computed them."""
    nll, confidence, brier, hit, target, sentence = (torch.cat(part, dim=-1) for part in zip(*parts, strict=True))
    window.all_in(sentence.unique().tolist())
    order = torch.argsort(sentence, stable=True)
    for i, tally in enumerate(tallies):
        values = TokenStatistics(nll[i, order], confidence[i, order], brier[i, order], hit[order])
        tally.add(values, target[order], sentence[order], window.first, window.n)
