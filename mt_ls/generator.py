"""What the model believed at each step of a finished hypothesis: one teacher-forced pass after the search.

The pass is exact (the search itself computes the same distributions, a step at a time), costs one parallel forward
where the search needed one a step and beam, knows nothing of beams being reordered, and is the same for any search.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import torch
from fairseq.data import data_utils

from .temperature import check_temperature


class TokenProbabilities(NamedTuple):
    """One value for each token of a hypothesis, its EOS included, each (L,): the ``probability`` of the token, the
    greatest one at that step (``max_probability``), and the ``entropy`` in nats."""

    probability: torch.Tensor
    max_probability: torch.Tensor
    entropy: torch.Tensor


@torch.no_grad()
def token_probabilities(
    models: list[Any], sample: dict[str, Any], hypotheses: list[list[dict[str, Any]]], temperature: float = 1.0
) -> list[list[TokenProbabilities]]:
    """Statistics of ``hypotheses[sentence][rank]["tokens"]`` under an ensemble, in the same nesting.

    As fairseq's search does it, each member's logits are divided by the temperature before the members'
    probabilities are averaged. Raises ValueError for a temperature that is not > 0.
    """
    check_temperature(temperature)
    widest = max((len(ranked) for ranked in hypotheses), default=0)
    collected: list[list[TokenProbabilities]] = [[] for _ in hypotheses]
    for rank in range(widest):
        rows = [row for row, ranked in enumerate(hypotheses) if rank < len(ranked)]
        tokens = [hypotheses[row][rank]["tokens"] for row in rows]
        for row, statistics in zip(rows, _score(models, sample, rows, tokens, temperature), strict=True):
            collected[row].append(statistics)
    return collected


def _score(
    models: list[Any], sample: dict[str, Any], rows: list[int], tokens: list[torch.Tensor], temperature: float
) -> list[TokenProbabilities]:
    pad, eos = models[0].decoder.dictionary.pad(), models[0].decoder.dictionary.eos()
    source = sample["net_input"]["src_tokens"]
    index = torch.tensor(rows, device=source.device)
    target = data_utils.collate_tokens(tokens, pad).to(source.device)
    previous = data_utils.collate_tokens(tokens, pad, eos, move_eos_to_beginning=True).to(source.device)
    lengths = sample["net_input"]["src_lengths"][index]
    members = (model(source[index], lengths, previous)[0].float() / temperature for model in models)
    log_p = functools.reduce(torch.logaddexp, (torch.log_softmax(logits, dim=-1) for logits in members))
    log_p = log_p - math.log(len(models))
    chosen = log_p.gather(-1, target.unsqueeze(-1)).squeeze(-1).exp()
    greatest = log_p.amax(dim=-1).exp()
    # p log p -> 0 as p -> 0, also where log p is -inf
    entropy = -torch.xlogy(log_p.exp(), log_p.exp()).sum(dim=-1)
    columns = [column.cpu() for column in (chosen, greatest, entropy)]
    return [
        TokenProbabilities(*(column[i, : len(hypothesis)].clone() for column in columns))
        for i, hypothesis in enumerate(tokens)
    ]
