"""The paper's Figure 7: what a translation model has before it predicts each of three target pieces, held against the
templates of these pieces."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from ..calibration.bins import Bins
from ..calibration.geometry import geometry, on_planes
from ..calibration.temperature import at_temperatures
from ..records.record import Measurement
from ..records.spool import spools, write
from .fairseq_model import Checkpoint, MeasureError
from .forced import ForcedPass, Outputs

N_TOKENS = 500
"""Tokens of each piece that are taken: the first of the split."""


def measure_penultimate(model: Checkpoint, planned: Measurement, pieces: Sequence[str], records: Path) -> None:
    """Append the planned measurement at T = 1 of the tokens that are one of three target ``pieces``: their bins and NLL
    among all predictions, and in ``geometry`` the numbers of their activations and of the three templates; the first
    hundred of each piece are kept on the plane.

    Raises MeasureError for pieces that are not in the dictionary or not in the split, and for a model whose last step
    is not one matrix.
    """
    forced = ForcedPass(model, planned.split, shared=False)
    if forced.projection is None:
        raise MeasureError("penultimate activations need a fairseq Transformer whose last step is one matrix")
    numbers = [_number(model, piece) for piece in pieces]
    taken = _taken(forced, numbers, pieces)
    parts = [at_temperatures(logits, target, [1.0]) for logits, target, _ in forced.logits(taken)]
    confidence = torch.cat([part.confidence[0] for part in parts]).clamp(max=1).cpu()
    bins = Bins.of(confidence, torch.cat([part.hit for part in parts]).cpu())
    nll = torch.cat([part.nll[0].double() for part in parts]).mean().item()
    labels = torch.stack([taken.target == number for number in numbers]).int().argmax(dim=0).cpu()
    points, templates = taken.values.double().cpu(), forced.projection[numbers].detach().double().cpu()
    views = on_planes(points, labels, templates, [range(len(pieces))])
    record = replace(
        planned,
        network=model.cfg.model._name,
        bins=bins,
        n_tokens=bins.n,
        n_sentences=len(taken.sentence.unique()),
        nll=nll,
        perplexity=math.exp(nll),
        accuracy=bins.accuracy,
        confidence=bins.mean_confidence,
        geometry={**geometry(points, labels, templates), "planes": [list(pieces)]},
    )
    with spools(1, records.parent) as (kept,):
        kept.append(**views)
        write(records, record, kept)


def _number(model: Checkpoint, piece: str) -> int:
    dictionary = model.task.target_dictionary
    if piece not in dictionary:
        raise MeasureError(f"--pieces: {piece!r} is not in {model.data}/dict.{model.task.cfg.target_lang}.txt")
    return dictionary.index(piece)


def _taken(forced: ForcedPass, numbers: list[int], pieces: Sequence[str]) -> Outputs:
    """The first `N_TOKENS` of each piece, by piece; of a long split only its beginning is read."""
    found: list[Outputs] = []
    for _, batches in forced.windows():
        for outputs in batches:
            ours = torch.isin(outputs.target, torch.tensor(numbers, device=outputs.target.device))
            found.append(Outputs(*(column[ours] for column in outputs)))
        all_found = Outputs(*(torch.cat(columns) for columns in zip(*found, strict=True)))
        order = torch.argsort(all_found.sentence, stable=True)  # not that of the batches, which is by length
        places = [order[all_found.target[order] == number] for number in numbers]
        if min(map(len, places)) >= N_TOKENS:
            break
    for piece, known in zip(pieces, places, strict=True):
        if len(known) < 2:
            raise MeasureError(f"--pieces: {piece!r} comes {len(known)} times in {forced.split}: choose frequent ones")
    chosen = torch.cat([known[:N_TOKENS] for known in places])
    return Outputs(*(column[chosen] for column in all_found))
