"""Finished hypotheses of a fairseq search, kept on the host.

fairseq slices the tensors of each finished hypothesis and reads its score by itself: on a GPU that is a dozen launches
and a wait for each of them. Here all that a step finishes comes to the host by one transfer a tensor.
"""

from __future__ import annotations

from typing import Any

import torch


class _Selected:
    """Rows that are selected already, where fairseq selects them."""

    def __init__(self, rows: torch.Tensor) -> None:
        self._rows = rows

    def index_select(self, dim: int, index: torch.Tensor) -> torch.Tensor:
        """The rows."""
        return self._rows


def finish_on_the_host(generator: Any) -> None:
    """Let a fairseq generator that asks for no attention keep finished hypotheses on the host."""
    finalize = generator.finalize_hypos

    def finalize_hypos(
        step: int,
        places: torch.Tensor,
        eos_scores: torch.Tensor,
        tokens: torch.Tensor,
        scores: torch.Tensor,
        *rest: Any,
    ) -> list[int]:
        # The columns that fairseq reads: tokens up to the end of the hypothesis, and scores of each of them.
        selected = (rows[:, : step + 2].index_select(0, places).cpu() for rows in (tokens, scores))
        return finalize(step, places.cpu(), eos_scores.cpu(), *map(_Selected, selected), *rest)

    generator.finalize_hypos = finalize_hypos
