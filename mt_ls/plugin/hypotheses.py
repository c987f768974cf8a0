"""What the model believed at each step of a finished hypothesis, and whether it was right.

One teacher-forced pass after the search is exact (the search itself computes the same distributions, a step at a
time), costs one parallel forward where the search needed one a step and beam, knows nothing of beams being
reordered, and is the same for any search.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from fairseq.sequence_generator import EnsembleModel
from torch.nn.utils.rnn import pad_sequence

from ..calibration.alignment import align
from ..calibration.temperature import check_temperature
from ..smoothing.loss import chunk_rows, project
from .projection import output_projection


class TokenProbabilities(NamedTuple):
    """One value for each token of a hypothesis, its EOS included, each (L,): the ``probability`` of the token, the
    greatest one at that step (``max_probability``), and the ``entropy`` in nats."""

    probability: torch.Tensor
    max_probability: torch.Tensor
    entropy: torch.Tensor


@torch.no_grad()
def token_probabilities(
    models: list[Any],
    sample: dict[str, Any],
    hypotheses: list[list[dict[str, Any]]],
    temperature: float = 1.0,
    encoded: list[Any] | None = None,
) -> list[list[TokenProbabilities]]:
    """Statistics of ``hypotheses[sentence][rank]["tokens"]`` under an ensemble, in the same nesting.

    As fairseq's search does it, each member's logits are divided by the temperature before the members'
    probabilities are averaged. ``encoded`` gives each member's encoder states, where the search has left them (see
    `encoder_states`). Raises ValueError for a temperature that is not > 0.
    """
    check_temperature(temperature)
    places = [(row, rank) for row, ranked in enumerate(hypotheses) for rank in range(len(ranked))]
    places.sort(key=lambda place: len(hypotheses[place[0]][place[1]]["tokens"]))
    encoded = encoded or [model.encoder.forward_torchscript(sample["net_input"]) for model in models]
    found: dict[tuple[int, int], TokenProbabilities] = {}
    while places:
        # The longest first, with what is nearly as long.
        longest = len(hypotheses[places[-1][0]][places[-1][1]]["tokens"])
        count = max(1, _POSITIONS // longest)
        group, places = places[-count:], places[:-count]
        tokens = [hypotheses[row][rank]["tokens"] for row, rank in group]
        rows = torch.tensor([row for row, _ in group], device=sample["net_input"]["src_tokens"].device)
        found.update(zip(group, _score(models, encoded, rows, tokens, temperature), strict=True))
    return [[found[row, rank] for rank in range(len(ranked))] for row, ranked in enumerate(hypotheses)]


@contextlib.contextmanager
def encoder_states(generator: Any) -> Iterator[list[Any]]:
    """Fills the list with the encoder states of a search that runs inside; leaves it empty where ``generator`` has no
    ensemble to ask (a scorer of references)."""
    kept: list[Any] = []
    ensemble = getattr(generator, "model", None)
    if not isinstance(ensemble, EnsembleModel):
        yield kept
        return
    encode = ensemble.forward_encoder

    def forward_encoder(net_input: dict[str, Any]) -> Any:
        kept[:] = encode(net_input)
        return list(kept)

    ensemble.forward_encoder = forward_encoder
    try:
        yield kept
    finally:
        del ensemble.forward_encoder


# Decoder positions of one pass: many groups pad little, as lengths vary widely in a batch of equal sources.
_POSITIONS = 1024


def _score(
    models: list[Any], encoded: list[Any], rows: torch.Tensor, tokens: list[torch.Tensor], temperature: float
) -> list[TokenProbabilities]:
    """Statistics of hypotheses of the sentences ``rows`` of the encoded batch."""
    dictionary = models[0].decoder.dictionary
    target = pad_sequence(tokens, batch_first=True, padding_value=dictionary.pad()).to(rows.device)
    previous = target.roll(1, dims=1)
    previous[:, 0] = dictionary.eos()
    lengths = [len(hypothesis) for hypothesis in tokens]
    real = torch.arange(target.size(1)) < torch.tensor(lengths).unsqueeze(1)
    members = []
    for model, states in zip(models, encoded, strict=True):
        states = model.encoder.reorder_encoder_out(states, rows)
        projection = output_projection(model)
        output = model.decoder(previous, encoder_out=states, features_only=projection is not None)
        values = output[0] if projection is not None else model.get_normalized_probs(output, log_probs=True)
        members.append((values[real.to(rows.device)], projection))
    chosen = target[real.to(rows.device)]
    step = chunk_rows(len(dictionary))
    parts = [
        _statistics(_log_probabilities(members, slice(start, start + step), temperature), chosen[start : start + step])
        for start in range(0, len(chosen), step)
    ]
    columns = (torch.cat(part).cpu().split(lengths) for part in zip(*parts, strict=True))
    return [TokenProbabilities(*values) for values in zip(*columns, strict=True)]


def _log_probabilities(members: list[tuple[Any, Any]], rows: slice, temperature: float) -> torch.Tensor:
    """(N, K) logits of an ensemble's probabilities: with one member its own, unnormalised."""
    logits = []
    for values, projection in members:
        scaled = values[rows].float() / temperature  # features or log-probabilities: the last step is linear in both
        logits.append(scaled if projection is None else project(scaled.to(projection.dtype), projection).float())
    if len(logits) == 1:
        return logits[0]
    return functools.reduce(torch.logaddexp, (torch.log_softmax(member, dim=-1) for member in logits))


def _statistics(logits: torch.Tensor, chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(probability of ``chosen``, greatest probability, entropy in nats), each (N,), of softmax(logits): with
    z <= 0 shifted, e = exp z and s = sum e, the entropy is log s - sum(e z) / s."""
    z = logits - logits.amax(dim=-1, keepdim=True)
    gold = z.gather(-1, chosen.unsqueeze(-1)).squeeze(-1)
    e = z.exp()
    s = e.sum(dim=-1)
    # Where a logit is -inf, e z is 0: its limit.
    weighted = e.mul_(z.clamp_min_(torch.finfo(z.dtype).min)).sum(dim=-1)
    return gold.exp() / s, s.reciprocal(), s.log() - weighted / s


def judge(dictionary: Any, ids: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(hit (L,), kept (L,)) of a hypothesis' token ``ids`` (L,) against a padded ``target`` (T,). A hypothesis ends
    with EOS unless its search ran into a length limit."""
    tokens = [dictionary[token] for token in ids.tolist()]
    special = {dictionary.pad(), dictionary.eos()}
    reference = [dictionary[token] for token in target.tolist() if token not in special]
    flags = align(tokens[:-1] if int(ids[-1]) == dictionary.eos() else tokens, reference)
    return torch.tensor(flags.hit[: len(tokens)]), torch.tensor(flags.kept[: len(tokens)])
