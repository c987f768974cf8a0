"""Risk and coverage of tokens, whose risk is to be wrong, in memory that does not grow with their number.

Each score counts tokens by levels of uncertainty, on a logarithmic scale. Tokens of one level count as tokens of one
score: 256 levels an octave.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from .confidence import TokenScores
from .selective import TOKEN_SCORES, normalised_aurc

_LEAST = 1e-7
_AN_OCTAVE = 256
_LEVELS = 8192
"""Levels from 1e-7 to 430: an entropy is at most the logarithm of the vocabulary."""


def uncertainties(tokens: TokenScores) -> dict[str, torch.Tensor]:
    """The uncertainty (L,) of tokens by each of `TOKEN_SCORES`, 0 or more; it falls as the score rises."""
    columns = (uncertainty_of(tokens.probability), tokens.entropy, *(1 - tokens.max_logit))
    return dict(zip(TOKEN_SCORES, columns, strict=True))


def uncertainty_of(probability: torch.Tensor) -> torch.Tensor:
    """The uncertainty (L,) of tokens of these probabilities: -ln p, finite."""
    return -probability.clamp(torch.finfo(probability.dtype).tiny, 1.0).log()


class TokenRisk:
    """Counts of right and of wrong tokens by their levels of uncertainty."""

    def __init__(self) -> None:
        self._counts: dict[str, np.ndarray] = {}

    def add(self, uncertainty: Mapping[str, torch.Tensor], hit: torch.Tensor) -> None:
        """Add tokens: their ``uncertainty`` (L,) by each score, and whether they are right (L,)."""
        wrong = (~hit).numpy().astype(int)
        for name, values in uncertainty.items():
            level = _AN_OCTAVE * (values.double() / _LEAST).clamp(min=1.0).log2()
            counts = np.bincount(2 * level.clamp(max=_LEVELS - 1).long().numpy() + wrong, minlength=2 * _LEVELS)
            self._counts[name] = self._counts.get(name, 0) + counts

    def normalised_areas(self) -> dict[str, float] | None:
        """The normalised AURC (see `selective.normalised_aurc`) by each score; None where all tokens are right, or
        none is."""
        score, risk = -(np.arange(2 * _LEVELS) // 2), np.arange(2 * _LEVELS) % 2
        areas = {name: float(normalised_aurc(score, risk, counts[None])[0]) for name, counts in self._counts.items()}
        return areas if areas and all(np.isfinite(area) for area in areas.values()) else None
