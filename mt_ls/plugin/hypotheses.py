"""Probabilities of the tokens of finished hypotheses.

The probabilities come from one teacher-forced pass after the search. It is exact: the search computes the same
distributions, a step at a time. It costs one parallel forward pass where the search needs one a step and beam, does not
depend on how the search reorders its beams, and is the same for any search.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from fairseq.sequence_generator import EnsembleModel
from torch.nn.utils.rnn import pad_sequence

from ..calibration.confidence import max_logit_norms
from ..calibration.temperature import check_temperature
from ..smoothing.chunks import chunk_rows
from ..smoothing.products import project
from .projection import output_projection

# Decoder positions of one pass on a CPU: many small passes pad little, as lengths vary widely in a batch of equal
# sources. On a GPU a pass costs nearly the same for many positions as for few.
_CPU_POSITIONS = 1024


class TokenProbabilities(NamedTuple):
    """Statistics of each token of a hypothesis, EOS included, each (L,).

    ``probability`` of the token, ``max_probability`` (the greatest one at that step), ``entropy`` in nats, and
    ``max_logit`` (P, L), the values of `max_logit_norms`.
    """

    probability: torch.Tensor
    max_probability: torch.Tensor
    entropy: torch.Tensor
    max_logit: torch.Tensor


@torch.no_grad()
def token_probabilities(
    models: list[Any],
    sample: dict[str, Any],
    hypotheses: list[list[dict[str, Any]]],
    temperature: float = 1.0,
    encoded: list[Any] | None = None,
    with_norms: bool = False,
) -> list[list[TokenProbabilities]]:
    """Statistics of ``hypotheses[sentence][rank]["tokens"]`` under an ensemble, in the same nesting.

    As in fairseq's search, each member's logits are divided by the temperature, and then the members' probabilities are
    averaged. ``encoded`` holds each member's encoder states, where the search has left them (see `encoder_states`).
    ``max_logit`` has no row unless ``with_norms``. Raises ValueError for a temperature that is not > 0.
    """
    check_temperature(temperature)
    device = sample["net_input"]["src_tokens"].device
    positions = _CPU_POSITIONS if device.type == "cpu" else chunk_rows(len(models[0].decoder.dictionary), device)
    places = [(row, rank) for row, ranked in enumerate(hypotheses) for rank in range(len(ranked))]
    places.sort(key=lambda place: len(hypotheses[place[0]][place[1]]["tokens"]))
    encoded = encoded or [model.encoder.forward_torchscript(sample["net_input"]) for model in models]
    scored: list[tuple[int, int]] = []
    lengths: list[int] = []
    parts: list[torch.Tensor] = []
    while places:
        # The longest hypothesis goes with those that are nearly as long.
        longest = len(hypotheses[places[-1][0]][places[-1][1]]["tokens"])
        count = max(1, positions // longest)
        batch, places = places[-count:], places[:-count]
        tokens = [hypotheses[row][rank]["tokens"] for row, rank in batch]
        rows = torch.tensor([row for row, _ in batch], device=device)
        parts += _score(models, encoded, rows, tokens, temperature, with_norms)
        scored += batch
        lengths += map(len, tokens)
    columns = torch.cat(parts, dim=1).cpu().split(lengths, dim=1) if parts else ()  # one transfer
    statistics = {
        place: TokenProbabilities(values[0], values[1], values[2], values[3:])
        for place, values in zip(scored, columns, strict=True)
    }
    return [[statistics[row, rank] for rank in range(len(ranked))] for row, ranked in enumerate(hypotheses)]


@contextlib.contextmanager
def encoder_states(generator: Any) -> Iterator[list[Any]]:
    """A list that a search inside the block fills with each member's encoder states.

    It stays empty where ``generator`` has no ensemble (a scorer of references).
    """
    states: list[Any] = []
    ensemble = getattr(generator, "model", None)
    if not isinstance(ensemble, EnsembleModel):
        yield states
        return
    encode = ensemble.forward_encoder

    def forward_encoder(net_input: dict[str, Any]) -> Any:
        states[:] = encode(net_input)
        return list(states)

    ensemble.forward_encoder = forward_encoder
    try:
        yield states
    finally:
        del ensemble.forward_encoder


def _score(
    models: list[Any],
    encoded: list[Any],
    rows: torch.Tensor,
    tokens: list[torch.Tensor],
    temperature: float,
    with_norms: bool,
) -> list[torch.Tensor]:
    """Statistics of hypotheses ``tokens`` of the sentences ``rows`` of the encoded batch.

    Each part is (3 or 3 + P, tokens), with the rows of `TokenProbabilities`, on the device of the models.
    """
    dictionary = models[0].decoder.dictionary
    target = pad_sequence(tokens, batch_first=True, padding_value=dictionary.pad()).to(rows.device)
    previous = target.roll(1, dims=1)
    previous[:, 0] = dictionary.eos()
    lengths = torch.tensor([len(hypothesis) for hypothesis in tokens])
    real = torch.arange(target.size(1)) < lengths.unsqueeze(1)
    # Places, and not a mask, which on a GPU makes the host wait for its number of places.
    places = tuple(index.to(rows.device) for index in real.nonzero(as_tuple=True))
    members = []
    for model, states in zip(models, encoded, strict=True):
        states = model.encoder.reorder_encoder_out(states, rows)
        weight = output_projection(model)
        output = model.decoder(previous, encoder_out=states, features_only=weight is not None)
        values = output[0] if weight is not None else model.get_normalized_probs(output, log_probs=True)
        members.append((values[places], weight))
    chosen = target[places]
    step = chunk_rows(len(dictionary), rows.device)
    return [
        _statistics(
            _log_probabilities(members, slice(start, start + step), temperature),
            chosen[start : start + step],
            with_norms,
        )
        for start in range(0, len(chosen), step)
    ]


def _log_probabilities(members: list[tuple[Any, Any]], rows: slice, temperature: float) -> torch.Tensor:
    """Logits (N, K) of an ensemble's probabilities; for one member its own logits, unnormalised.

    A member is its hidden states and its output projection, or its log-probabilities and None.
    """
    logits = []
    for values, weight in members:
        scaled = values[rows].float() / temperature  # hidden states scale as logits do: the projection is linear
        logits.append(scaled if weight is None else project(scaled.to(weight.dtype), weight).float())
    if len(logits) == 1:
        return logits[0]
    return functools.reduce(torch.logaddexp, (torch.log_softmax(member, dim=-1) for member in logits))


def _statistics(logits: torch.Tensor, chosen: torch.Tensor, with_norms: bool) -> torch.Tensor:
    """Probability of ``chosen``, greatest probability and entropy in nats of softmax(logits), (3, N), and below them
    `max_logit_norms`, (P, N), if they are wanted.

    With shifted logits z <= 0, e = exp z and s = sum e, the entropy is log s - sum(e z) / s.
    """
    norms = max_logit_norms(logits) if with_norms else logits.new_empty(0, len(chosen))
    z = logits - logits.amax(dim=-1, keepdim=True)
    chosen_logit = z.gather(-1, chosen.unsqueeze(-1)).squeeze(-1)
    e = z.exp()
    s = e.sum(dim=-1)
    # Where a logit is -inf, e z is 0: its limit.
    weighted = e.mul_(z.clamp_min_(torch.finfo(z.dtype).min)).sum(dim=-1)
    return torch.cat((torch.stack((chosen_logit.exp() / s, s.reciprocal(), s.log() - weighted / s)), norms))
