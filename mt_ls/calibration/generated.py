"""Generated tokens held against references: what beam ECE is made of."""

from __future__ import annotations

from typing import NamedTuple

import torch

from .bins import grouped_bin_sums


class JudgedTokens(NamedTuple):
    """Generated tokens held against references, one hypothesis after the other, each (N,): the ``probability`` of each
    token, whether TER's alignment finds it right (``hit``) and not shifted (``kept``), whether it is EOS (``eos``), and
    its ``sentence``, counted from 0."""

    probability: torch.Tensor
    hit: torch.Tensor
    kept: torch.Tensor
    eos: torch.Tensor
    sentence: torch.Tensor

    def sums(self, n_sentences: int) -> dict[str, torch.Tensor]:
        """(sentences, 3, bins) sums of each token class (see `bin_sums`); beam ECE is that of "others". Shifted tokens
        are left out, as InfECE does."""
        chosen = {"others": self.kept & ~self.eos, "eos": self.eos}
        probability = self.probability.clamp(max=1.0)
        return {
            name: grouped_bin_sums(probability[mask], self.hit[mask], self.sentence[mask], n_sentences)
            for name, mask in chosen.items()
        }

    @property
    def n_left_out(self) -> int:
        """How many tokens stand in no class: the shifted ones."""
        return int((~self.kept).sum())
