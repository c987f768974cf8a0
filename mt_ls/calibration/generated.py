"""Generated tokens, whose hits come from an alignment with the reference, and their sums for beam ECE."""

from __future__ import annotations

from typing import NamedTuple

import torch

from .bins import FINE_BINS
from .sums import bin_sums, grouped_bin_sums


class GeneratedTokens(NamedTuple):
    """The tokens of hypotheses, one hypothesis after the other, each field (N,).

    ``probability`` of the token, ``hit`` and ``kept`` as in `Alignment`, ``eos`` (whether the token is EOS), and the
    ``sentence``, counted from 0.
    """

    probability: torch.Tensor
    hit: torch.Tensor
    kept: torch.Tensor
    eos: torch.Tensor
    sentence: torch.Tensor

    def sums(self, n_sentences: int) -> dict[str, torch.Tensor]:
        """Sums (sentences, 3, bins) of count, confidence and hits of each token class, "others" and "eos".

        Beam ECE is the ECE of "others". Shifted tokens are in no class, as in InfECE (Wang et al. 2020).
        """
        chosen = {"others": self.others, "eos": self.eos}
        probability = self.probability.clamp(max=1.0)
        return {
            name: grouped_bin_sums(probability[mask], self.hit[mask], self.sentence[mask], n_sentences)
            for name, mask in chosen.items()
        }

    def fine_sums(self) -> torch.Tensor:
        """Sums (3, `FINE_BINS`) of the class "others", in bins that SmoothECE takes."""
        return bin_sums(self.probability.clamp(max=1.0), self.hit, FINE_BINS, self.others)

    @property
    def others(self) -> torch.Tensor:
        """Which tokens are of the class "others" (N,): neither EOS nor shifted."""
        return self.kept & ~self.eos

    @property
    def n_left_out(self) -> int:
        """Number of shifted tokens."""
        return int((~self.kept).sum())
