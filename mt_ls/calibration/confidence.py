"""Scores that say how sure a model is of its predictions, for selective prediction (see `selective`).

The greater a score, the surer the model. MaxLogit-pNorm (Cattelan and Silva 2024, "How to fix a broken confidence
estimator", equation 11) is the greatest logit over the p-norm of the logits, both less their mean. A temperature does
not change it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch


class TokenScores(NamedTuple):
    """Of L tokens: ``probability`` (L,), ``entropy`` (L,) in nats, and ``max_logit`` (P, L), a row for each power."""

    probability: torch.Tensor
    entropy: torch.Tensor
    max_logit: torch.Tensor


def max_logit_norms(logits: torch.Tensor) -> torch.Tensor:
    """MaxLogit-pNorm (P, N) of ``logits`` (N, K) at each of `selective.POWERS`."""
    centred = logits - logits.mean(dim=-1, keepdim=True)
    square = centred.square()
    fourth = square.square()
    norms = [
        square.sum(-1).sqrt(),
        fourth.sum(-1).pow(1 / 4),
        (fourth * square).sum(-1).pow(1 / 6),
        fourth.square_().sum(-1).pow(1 / 8),
    ]
    return centred.amax(dim=-1) / torch.stack(norms)


def token_scores(logits: torch.Tensor, chosen: torch.Tensor, temperature: float = 1.0) -> TokenScores:
    """The scores of the tokens ``chosen`` (N,) by ``logits`` (N, K), which are divided by the temperature."""
    logits = logits.float()
    log_probabilities = torch.log_softmax(logits / temperature, dim=-1)
    probability = log_probabilities.gather(-1, chosen.unsqueeze(-1))[:, 0].exp()
    # Where a probability is 0 its part of the entropy is 0: its limit.
    entropy = -(log_probabilities.exp() * log_probabilities.clamp_min(torch.finfo(logits.dtype).min)).sum(-1)
    return TokenScores(probability, entropy, max_logit_norms(logits))


def scores(tokens: TokenScores) -> torch.Tensor:
    """The `selective.SCORES` (3 + P,) of the hypothesis of these tokens, its EOS included."""
    least = tokens.probability.clamp_min(torch.finfo(tokens.probability.dtype).tiny)
    first = torch.stack((least.log().mean(), tokens.probability.min(), -tokens.entropy.mean()))
    return torch.cat((first, tokens.max_logit.mean(dim=-1)))


def image_scores(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    """The `selective.SCORES` (N, 3 + P) of the predicted classes by ``logits`` (N, K)."""
    tokens = token_scores(logits, logits.argmax(dim=-1), temperature)
    logarithm = tokens.probability.clamp_min(torch.finfo(tokens.probability.dtype).tiny).log()
    return torch.stack((logarithm, tokens.probability, -tokens.entropy, *tokens.max_logit), dim=1)
