"""What the model believed at each step of a finished hypothesis, and whether it was right.

One teacher-forced pass after the search is exact (the search itself computes the same distributions, a step at a
time), costs one parallel forward where the search needed one a step and beam, knows nothing of beams being
reordered, and is the same for any search.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from fairseq.data import data_utils

from .alignment import align
from .calibration import N_BINS, Bins, bin_sums
from .temperature import check_temperature

TOKEN_CLASSES = ("others", "eos")


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


class JudgedHypothesis(NamedTuple):
    """A hypothesis against its reference, token by token: ``tokens`` as text, and, each (L,), the ``probability`` of
    each, whether TER's alignment finds it right (``hit``) and not shifted (``kept``). ``ended``: the last token is
    EOS, as it always is unless the search ran into its length limit."""

    tokens: list[str]
    probability: torch.Tensor
    hit: torch.Tensor
    kept: torch.Tensor
    ended: bool

    def bins(self) -> dict[str, torch.Tensor]:
        """(3, bins) sums of each token class (see `bin_sums`). Shifted tokens are left out, as InfECE does."""
        body = len(self.tokens) - int(self.ended)
        index = torch.arange(len(self.tokens))
        chosen = {"others": self.kept & (index < body), "eos": index >= body}
        probability = self.probability.clamp(max=1.0)
        return {name: bin_sums(probability[chosen[name]], self.hit[chosen[name]]) for name in TOKEN_CLASSES}

    @property
    def n_left_out(self) -> int:
        """How many tokens stand in no bin: the shifted ones."""
        return int((~self.kept).sum())


def judge(dictionary: Any, ids: torch.Tensor, probability: torch.Tensor, target: torch.Tensor) -> JudgedHypothesis:
    """Hold a hypothesis (token ``ids`` (L,), their ``probability`` (L,)) against its padded ``target`` (T,)."""
    tokens = [dictionary[token] for token in ids.tolist()]
    ended = int(ids[-1]) == dictionary.eos()
    special = {dictionary.pad(), dictionary.eos()}
    reference = [dictionary[token] for token in target.tolist() if token not in special]
    flags = align(tokens[:-1] if ended else tokens, reference)
    hit, kept = (torch.tensor(column[: len(tokens)]) for column in flags)
    return JudgedHypothesis(tokens, probability, hit, kept, ended)


def beam_bins(hypotheses: Iterable[JudgedHypothesis]) -> dict[str, Bins]:
    """The bins of each token class over many hypotheses; beam ECE is that of "others"."""
    sums = {name: torch.zeros(3, N_BINS, dtype=torch.float64) for name in TOKEN_CLASSES}
    for hypothesis in hypotheses:
        for name, values in hypothesis.bins().items():
            sums[name] += values
    return {name: Bins.from_sums(values) for name, values in sums.items()}
