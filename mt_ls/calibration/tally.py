"""Sums of predictions with known targets at one temperature: the core of measuring tokens and images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from .bins import FINE_BINS, Bins
from .smooth_ece import smooth_ece
from .sums import bin_sums, grouped_bin_sums
from .temperature import TokenStatistics


class Tally:
    """Adds up predictions, a batch of whole groups (sentences, images) at a time."""

    def __init__(self) -> None:
        self._bins = Bins.zeros()
        self._fine = Bins.zeros(FINE_BINS)
        self._by_class: dict[str, Bins] = {}
        self._full: Bins | None = None
        self._nll = self._brier = 0.0

    def add(
        self,
        statistics: TokenStatistics,
        group: torch.Tensor,
        n_groups: int,
        is_eos: torch.Tensor | None = None,
        mass: torch.Tensor | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Add predictions and return the sums of each group: bins (n_groups, 3, B) and NLL (n_groups,), float32.

        ``statistics`` are those of one temperature, each (N,); ``group`` (N,) counts from 0. ``is_eos`` (N,) says which
        predictions are EOS, ``mass`` (3, B) is `mass_sums` of them: give either always or never.
        """
        confidence = statistics.confidence.clamp(max=1.0)
        sums = grouped_bin_sums(confidence, statistics.hit, group, n_groups)
        self._bins = self._bins + Bins.from_sums(sums.sum(0))
        self._fine = self._fine + Bins.from_sums(bin_sums(confidence, statistics.hit, FINE_BINS))
        if is_eos is not None:
            for name, where in (("others", ~is_eos), ("eos", is_eos)):
                of_class = Bins.from_sums(bin_sums(confidence, statistics.hit, where=where))
                self._by_class[name] = self._by_class.get(name, Bins.zeros()) + of_class
        if mass is not None:
            self._full = (self._full or Bins.zeros()) + Bins.from_sums(mass)
        self._nll += statistics.nll.sum(dtype=torch.float64).item()
        self._brier += statistics.brier.sum(dtype=torch.float64).item()
        nll = torch.zeros(n_groups, dtype=torch.float64).index_add_(0, group, statistics.nll.double())
        return sums.numpy().astype("f4"), nll.numpy().astype("f4")

    def fields(self) -> dict[str, Any]:
        """The fields of a record; ``nll`` in nats a prediction."""
        bins, n = self._bins, self._bins.n
        nll = self._nll / n
        return {
            "bins": bins,
            "bins_equal_mass": self._fine.equal_mass(),
            "smooth_ece": smooth_ece(self._fine),
            "bins_by_class": self._by_class or None,
            "bins_full": self._full,
            "n_tokens": n,
            "nll": nll,
            "perplexity": math.exp(nll),
            "accuracy": bins.accuracy,
            "confidence": bins.mean_confidence,
            "brier": self._brier / n,
        }
