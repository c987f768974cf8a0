"""What predictions with known references add up to at one temperature: the core of measuring tokens or images."""

from __future__ import annotations

import math
from typing import Any

import torch

from ..records.spool import ArraySpool
from .bins import FINE_BINS, Bins, bin_sums, grouped_bin_sums
from .temperature import TokenStatistics


class Tally:
    """Sums of predictions, and a spool with what is kept of each group of them (a sentence, an image): "sentence_bins"
    and "sentence_nll", and where ``keeps_each`` the values of each prediction."""

    def __init__(self, spool: ArraySpool, keeps_each: bool) -> None:
        self._spool = spool
        self._keeps_each = keeps_each
        self._bins = Bins.zeros()
        self._fine = Bins.zeros(FINE_BINS)
        self._nll = self._brier = 0.0

    def add(
        self, statistics: TokenStatistics, target: torch.Tensor, group: torch.Tensor, first: int, n_groups: int
    ) -> None:
        """Predictions (N,) of whole groups: statistics of one temperature, each (N,), the ``target`` of each (N,), and
        its ``group`` (N,) in ascending order, of the ``n_groups`` from ``first`` on."""
        nll, confidence, brier, hit = statistics
        confidence = confidence.clamp(max=1.0)
        sums = grouped_bin_sums(confidence, hit, group - first, n_groups)
        self._bins = self._bins + Bins.from_sums(sums.sum(0))
        self._fine = self._fine + Bins.from_sums(bin_sums(confidence, hit, FINE_BINS))
        self._nll += nll.sum(dtype=torch.float64).item()
        self._brier += brier.sum(dtype=torch.float64).item()
        group_nll = torch.zeros(n_groups, dtype=torch.float64).index_add_(0, group - first, nll.double())
        self._spool.append(sentence_bins=sums.numpy().astype("f4"), sentence_nll=group_nll.numpy().astype("f4"))
        if self._keeps_each:
            self._spool.append(
                confidence=confidence.numpy().astype("f4"),
                hit=hit.numpy(),
                nll=nll.numpy().astype("f4"),
                sentence=group.numpy().astype("i4"),
                token=target.numpy().astype("i4"),
            )

    def fields(self) -> dict[str, Any]:
        """What the record says; ``nll`` in nats a prediction."""
        bins, n = self._bins, self._bins.n
        nll = self._nll / n
        return {
            "bins": bins,
            "bins_equal_mass": self._fine.equal_mass(),
            "n_tokens": n,
            "nll": nll,
            "perplexity": math.exp(nll),
            "accuracy": bins.accuracy,
            "confidence": bins.mean_confidence,
            "brier": self._brier / n,
        }
