"""Mode "activations": hidden states before three target tokens, and the templates of these tokens (Figure 7).

A template is a row of the output projection. The figure is that of Müller et al. 2019.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from msgspec.structs import replace

from ..calibration.bins import Bins
from ..calibration.geometry import geometry, on_plane
from ..calibration.temperature import at_temperatures
from ..records import Record, append
from .forced import ForcedPass
from .protocol import ForcedTokens, MeasureError, TranslationModel

N_TOKENS = 500
"""Occurrences of each token that are measured: the first of the split."""


def measure_activations(model: TranslationModel, planned: Record, pieces: Sequence[str], records: Path) -> None:
    """Measure the planned record at T = 1 on the occurrences of three target tokens ``pieces``, and append it.

    Its bins and NLL are those of these predictions among all classes. ``geometry`` has the numbers of the hidden states
    and the three templates, and in "planes" the plane through the templates with the first states of each token.

    Raises MeasureError for a token that is not in the vocabulary or occurs less than twice in the split, and for a
    model without a projection; ValueError for tokens that span no plane.
    """
    if model.projection is None:
        raise MeasureError("activations need a model whose last step is one matrix, such as fairseq's Transformer")
    ids = [_token_id(model, piece) for piece in pieces]
    forced = ForcedPass(model, planned.split)
    tokens = _occurrences(forced, ids, pieces)
    parts = [at_temperatures(logits, target, [1.0]) for logits, target, _ in forced.logits(tokens)]
    confidence = torch.cat([part.confidence[0] for part in parts]).clamp(max=1).cpu()
    bins = Bins.of(confidence, torch.cat([part.hit for part in parts]).cpu())
    nll = torch.cat([part.nll[0].double() for part in parts]).mean().item()
    labels = torch.stack([tokens.target == token for token in ids]).int().argmax(dim=0).cpu()
    states, templates = tokens.states.double().cpu(), model.projection[ids].detach().double().cpu()
    record = replace(
        planned,
        bins=bins,
        n_tokens=bins.n,
        n_sentences=len(tokens.sentence.unique()),
        nll=nll,
        perplexity=math.exp(nll),
        accuracy=bins.accuracy,
        confidence=bins.mean_confidence,
        geometry={
            **geometry(states, labels, templates),
            "planes": [{"classes": list(pieces), **on_plane(states, labels, templates, range(len(pieces)))}],
        },
    )
    append(records, record)


def _token_id(model: TranslationModel, piece: str) -> int:
    token = model.token_id(piece)
    if token is None:
        raise MeasureError(f"--pieces: {piece!r} is not in the target vocabulary")
    return token


def _occurrences(forced: ForcedPass, ids: list[int], pieces: Sequence[str]) -> ForcedTokens:
    """The first `N_TOKENS` occurrences of each token, token after token. Of a long split only the beginning is read."""
    parts: list[ForcedTokens] = []
    for _, batches in forced.windows():
        for tokens in batches:
            chosen = torch.isin(tokens.target, torch.tensor(ids, device=tokens.target.device))
            parts.append(ForcedTokens(*(column[chosen] for column in tokens)))
        columns = ForcedTokens(*(torch.cat(column) for column in zip(*parts, strict=True)))
        order = torch.argsort(columns.sentence, stable=True)  # the batches are sorted by length
        places = [order[columns.target[order] == token] for token in ids]
        if min(map(len, places)) >= N_TOKENS:
            break
    for piece, occurrences in zip(pieces, places, strict=True):
        if len(occurrences) < 2:
            raise MeasureError(
                f"--pieces: {piece!r} occurs {len(occurrences)} times in {forced.split}: choose frequent tokens"
            )
    taken = torch.cat([occurrences[:N_TOKENS] for occurrences in places])
    return ForcedTokens(*(column[taken] for column in columns))
