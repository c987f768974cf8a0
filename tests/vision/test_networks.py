"""The paper's networks and the protocols of their training."""

import pytest
import torch

from mt_ls.vision import VisionError, augment
from mt_ls.vision.networks import build
from mt_ls.vision.protocols import PROTOCOLS, protocol_of


def _parameters(network):
    return sum(values.numel() for values in network.parameters())


@pytest.mark.parametrize(
    ("name", "shape", "n_classes", "parameters", "width"),
    [
        ("mlp_1200", (1, 28, 28), 10, 784 * 1200 + 1200 + 1200 * 1200 + 1200 + 12010, 1200),
        # TensorFlow's CIFAR-10 tutorial: 1 068 298 of its variables are trained.
        ("alexnet", (3, 24, 24), 10, 1_068_298, 192),
        # 0.27 and 0.85 million in He et al. 2016, table 6.
        ("resnet_20", (3, 32, 32), 10, 272_282, 64),
        ("resnet_56", (3, 32, 32), 10, 855_578, 64),
        ("resnet_56_wide", (3, 32, 32), 100, None, 128),
    ],
)
def test_a_network_is_a_body_and_a_linear_head(name, shape, n_classes, parameters, width):
    network = build(name, shape, n_classes).eval()
    x = torch.randn(2, *shape)
    activations = network.body(x)
    assert activations.shape == (2, width)
    torch.testing.assert_close(network(x), activations @ network.head.weight.t() + network.head.bias)
    if parameters:
        assert _parameters(network) == pytest.approx(parameters, rel=0.01)


def test_pooling_pads_as_tensorflow_does():
    """SAME padding, 3 x 3 at stride 2 on 4 x 4: windows begin at 0 and 2, and only the second crosses the border."""
    pool = build("alexnet", (3, 24, 24), 10).body[2]
    assert pool(torch.arange(16.0).view(1, 1, 4, 4)).tolist() == [[[[10, 11], [14, 15]]]]


def test_response_normalisation_is_torchs():
    """Torch divides its alpha by the number of channels; the tutorial's alpha is 0.001 / 9 over nine channels."""
    layer, x = build("alexnet", (3, 24, 24), 10).body[3], 40 * torch.randn(2, 64, 5, 5)
    expected = torch.nn.LocalResponseNorm(9, alpha=0.001, beta=0.75, k=1.0)(x)
    torch.testing.assert_close(layer(x), expected)
    assert (expected - x).abs().max() > 1


def test_hintons_dropout_is_for_the_fully_connected_alone():
    network = build("mlp_800_dropout", (1, 28, 28), 10)
    rates = [layer.p for layer in network.body if isinstance(layer, torch.nn.Dropout)]
    assert rates == [0.2, 0.5, 0.5]
    with pytest.raises(VisionError, match="no network"):
        build("alexnet_dropout", (3, 32, 32), 10)


@pytest.mark.parametrize("name", ["resnet_21", "resnet_2", "vgg", "mlp_"])
def test_an_unknown_network_is_refused(name):
    with pytest.raises(VisionError, match="choose mlp_WIDTH, mlp_WIDTH_dropout, alexnet, resnet_DEPTH"):
        build(name, (3, 32, 32), 10)


def test_learning_rates_fall_tenfold_or_in_a_line():
    alexnet, resnet, mlp = (protocol_of(name) for name in ("alexnet", "resnet_20", "mlp_1200"))
    updates = (0, 129_999, 130_000, 260_000)
    assert [alexnet.rate_factor(update, 390_000) for update in updates] == pytest.approx([1, 1, 0.1, 0.01])
    updates = (0, 31_999, 32_000, 48_000)
    assert [resnet.rate_factor(update, 64_000) for update in updates] == pytest.approx([1, 1, 0.1, 0.01])
    assert [mlp.rate_factor(update, 1000) for update in (0, 500, 999)] == pytest.approx([1, 0.5, 0.001])


def test_a_network_has_its_own_protocol_or_that_of_its_family():
    assert protocol_of("mlp_1200_dropout") is PROTOCOLS["mlp_1200_dropout"]
    assert protocol_of("mlp_800") is PROTOCOLS["mlp"] is not PROTOCOLS["mlp_1200"]
    assert protocol_of("resnet_56") is protocol_of("resnet_20_wide") is PROTOCOLS["resnet"]
    assert protocol_of("inception_v4").average == 0.9999
    with pytest.raises(VisionError, match="no network 'vgg_16': choose one of the families mlp_1200, "):
        protocol_of("vgg_16")


def test_tensor2tensors_loss_multiplier_is_for_its_networks_alone():
    assert {name: PROTOCOLS[name].loss_scale for name in PROTOCOLS} == {
        "mlp_1200": 1,
        "mlp_1200_dropout": 1,
        "mlp": 1,
        "alexnet": 3,
        "inception": 1,
        "resnet": 3,
    }


def test_training_images_are_augmented_where_the_protocol_says_so(rng):
    pixels = torch.randint(256, (6, 1, 28, 28), generator=rng).to(torch.uint8)
    state = rng.get_state()
    assert torch.equal(protocol_of("mlp_800").training_images(pixels, rng), augment.scaled(pixels))
    assert torch.equal(rng.get_state(), state)
    assert not torch.equal(protocol_of("mlp_1200").training_images(pixels, rng), augment.scaled(pixels))
