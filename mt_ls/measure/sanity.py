"""Whether a model's predictions are better than a uniform guess. On data of another model they are worse."""

from __future__ import annotations

import math

import torch

from ..calibration.temperature import at_temperatures
from .forced import ForcedPass
from .protocol import MeasureError, TranslationModel
from .windows import regrouped, windows

_SAMPLE = 32
"""Sentences of a sample."""


def check_sample(model: TranslationModel, split: str) -> None:
    """Raise MeasureError if the NLL of a sample of a split is above that of a uniform guess, or not finite."""
    nll = _sample_nll(model, split)
    if not math.isfinite(nll):
        raise MeasureError(f"its NLL on {split} is not finite, as after a training that diverged")
    line = above_uniform(nll, model.n_classes, split)
    if line:
        raise MeasureError(line)


def above_uniform(nll: float, n_classes: int, split: str) -> str | None:
    """Return one line if an NLL (nats a token) is above that of a uniform guess among ``n_classes``, else None."""
    if nll <= math.log(n_classes):
        return None
    return (
        f"NLL of {nll:.2f} nats a token on {split} is above the ln V = {math.log(n_classes):.2f} of a uniform guess: "
        "source and target are swapped, or the dictionary is another model's"
    )


@torch.no_grad()
def _sample_nll(model: TranslationModel, split: str) -> float:
    """The mean NLL at T = 1 of the tokens of a sample of the first window, in nats."""
    window = next(windows(model, split))
    n = min(_SAMPLE, window.n)
    chosen = {window.first + window.n * i // n for i in range(n)}
    forced = ForcedPass(model, split)
    total = n_tokens = 0.0
    for batch in regrouped(window.batches, chosen):
        for logits, target, _ in forced.logits(model.forced(split, batch)):
            total += at_temperatures(logits, target, [1.0]).nll.sum(dtype=torch.float64).item()
            n_tokens += len(target)
    return total / n_tokens
