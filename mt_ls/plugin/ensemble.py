"""fairseq's ensemble for a search in which each sentence of a batch has its own temperature."""

from __future__ import annotations

from typing import Any

import torch
from fairseq.sequence_generator import EnsembleModel


class TemperedEnsemble(EnsembleModel):
    """Divides the logits of each of the N sentences of the next search by its own one of ``temperatures`` (N,).

    A search expands, moves and removes its rows by `reorder_encoder_out`, so the temperatures move with the encoder's
    states. The search gets no attention weights: no hypothesis depends on them, and at every step it would copy all of
    them.
    """

    temperatures: torch.Tensor

    def forward_encoder(self, net_input: dict[str, Any]) -> Any:
        """The encoder's states of each model."""
        self._of_rows = self.temperatures.view(-1, 1, 1)
        return super().forward_encoder(net_input)

    def reorder_encoder_out(self, encoder_outs: Any, new_order: torch.Tensor) -> Any:
        """The encoder's states of the rows ``new_order``, whose temperatures the next steps take."""
        self._of_rows = self._of_rows.index_select(0, new_order)
        return super().reorder_encoder_out(encoder_outs, new_order)

    def forward_decoder(
        self, tokens: torch.Tensor, encoder_outs: Any, incremental_states: Any, temperature: float = 1.0
    ) -> tuple[torch.Tensor, None]:
        """Log-probabilities (rows, K) of the next token; ``temperature``, one of all rows, is not used."""
        log_probabilities, _ = super().forward_decoder(tokens, encoder_outs, incremental_states, self._of_rows)
        return log_probabilities, None


def tempered(generator: Any) -> TemperedEnsemble | None:
    """The ensemble that ``generator`` searches with from now on; None where it does not search with fairseq's own."""
    if type(getattr(generator, "model", None)) is not EnsembleModel:
        return None
    generator.model = TemperedEnsemble(list(generator.model.models)).eval()
    return generator.model
