"""Generated tokens that an alignment with the reference calls hits or not: beam ECE is that of these."""

from __future__ import annotations

from typing import NamedTuple

import torch

from .sums import grouped_bin_sums


class GeneratedTokens(NamedTuple):
    """Generated tokens, one hypothesis after the other, each field (N,).

    ``probability`` of the token, ``hit`` by TER's alignment, ``kept`` (not shifted by TER), ``eos`` (whether it is
    EOS), and the ``sentence``, counted from 0.
    """

    probability: torch.Tensor
    hit: torch.Tensor
    kept: torch.Tensor
    eos: torch.Tensor
    sentence: torch.Tensor

    def sums(self, n_sentences: int) -> dict[str, torch.Tensor]:
        """Sums (sentences, 3, bins) of each token class, "others" and "eos"; beam ECE is that of "others".

        Shifted tokens are left out, as InfECE does (Wang et al. 2020).
        """
        chosen = {"others": self.kept & ~self.eos, "eos": self.eos}
        probability = self.probability.clamp(max=1.0)
        return {
            name: grouped_bin_sums(probability[mask], self.hit[mask], self.sentence[mask], n_sentences)
            for name, mask in chosen.items()
        }

    @property
    def n_left_out(self) -> int:
        """Number of shifted tokens, which are in no class."""
        return int((~self.kept).sum())
