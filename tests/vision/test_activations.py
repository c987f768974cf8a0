"""Activations and templates: their products are the network's logits."""

import torch

from mt_ls.vision.activations import activations_of, templates_of
from mt_ls.vision.images import Images
from mt_ls.vision.networks import build


def test_logits_are_products_of_activations_and_templates():
    network = build("mlp_16", (1, 4, 4), 5)
    data = Images(torch.randint(256, (9, 1, 4, 4), dtype=torch.uint8), torch.arange(9) % 5)
    points = activations_of(network, "mlp_16", data)
    assert points.shape == (9, 17) and points.dtype == torch.float64
    logits = network.eval()(data.pixels.float() / 255).double()
    torch.testing.assert_close(points @ templates_of(network).t(), logits, atol=1e-5, rtol=1e-5)


def test_activations_are_those_of_evaluation():
    """Without dropout, and of images that are not augmented: the same ones each time."""
    network = build("mlp_1200_dropout", (1, 8, 8), 5).train()
    data = Images(torch.randint(256, (3, 1, 8, 8), dtype=torch.uint8), torch.arange(3))
    first, second = (activations_of(network, "mlp_1200_dropout", data) for _ in range(2))
    assert torch.equal(first, second)
