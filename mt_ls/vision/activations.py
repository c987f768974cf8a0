"""Penultimate activations and templates of a classifier, with biases (see `mt_ls.geometry`)."""

from __future__ import annotations

import torch

from .images import Images
from .networks import Classifier
from .training import protocol_of


@torch.no_grad()
def activations(network: Classifier, name: str, data: Images) -> torch.Tensor:
    """(N, D + 1): penultimate activations with 1 appended."""
    prepare = protocol_of(name).plain
    network.eval()
    found = torch.cat([network.body(prepare(pixels)).double().cpu() for pixels in data.pixels.split(500)])
    return torch.cat([found, torch.ones(len(found), 1, dtype=torch.float64)], dim=1)


def templates_of(network: Classifier) -> torch.Tensor:
    """(K, D + 1): the rows of the last layer with their biases."""
    head = network.head
    return torch.cat([head.weight, head.bias.unsqueeze(1)], dim=1).detach().double().cpu()
