"""Penultimate activations and templates of a classifier, with its biases (see `calibration.geometry`)."""

from __future__ import annotations

import torch

from .images import Images
from .networks import Classifier
from .protocols import protocol_of


@torch.no_grad()
def activations_of(network: Classifier, architecture: str, data: Images) -> torch.Tensor:
    """Penultimate activations (N, D + 1) with 1 appended, float64 on the CPU, of images as prepared for evaluation."""
    prepare = protocol_of(architecture).prepare
    network.eval()
    points = torch.cat([network.body(prepare(pixels)).double().cpu() for pixels in data.pixels.split(500)])
    return torch.cat([points, torch.ones(len(points), 1, dtype=torch.float64)], dim=1)


def templates_of(network: Classifier) -> torch.Tensor:
    """Templates (K, D + 1), float64 on the CPU: the rows of the last layer with their biases appended."""
    head = network.head
    return torch.cat([head.weight, head.bias.unsqueeze(1)], dim=1).detach().double().cpu()
