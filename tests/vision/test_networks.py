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
        ("resnet_56_t2t", (3, 32, 32), 10, None, 128),
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
    pool = build("alexnet", (3, 24, 24), 10).body[1]
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
    with pytest.raises(VisionError, match="choose mlp_WIDTH, mlp_WIDTH_dropout, alexnet, or resnet_DEPTH"):
        build(name, (3, 32, 32), 10)


@pytest.mark.parametrize("depth", [8, 56])
def test_the_parameters_of_tensor2tensors_resnet(depth):
    """By hand: a kernel of 3 x 3 for the images, then three groups, each with a projection and its normalisation."""
    n, expected, inputs = (depth - 2) // 6, 3 * 16 * 9 + 2 * 16, 16
    for width in (32, 64, 128):
        expected += 2 * inputs + inputs * width * 9 + 2 * width + width * width * 9  # the first block
        expected += inputs * width + 2 * width  # its shortcut
        expected += (n - 1) * 2 * (2 * width + width * width * 9)
        inputs = width
    assert _parameters(build(f"resnet_{depth}_t2t", (3, 32, 32), 10)) == expected + 128 * 10 + 10


def test_the_structure_of_tensor2tensors_resnet():
    """Of 14 layers: normalisation and ReLU follow the first convolution, each group begins with a projection whose
    output is normalised and not cut at 0, and nothing normalises the mean."""
    body = build("resnet_14_t2t", (3, 32, 32), 10).body.train()
    kinds = [type(layer).__name__ for layer in body]
    assert kinds == ["Conv2d", "BatchNorm2d", "ReLU", *["_Block"] * 6, "AdaptiveAvgPool2d", "Flatten"]
    assert [block.shortcut is None for block in body[3:9]] == [False, True] * 3
    assert {(layer.momentum, layer.eps) for layer in body.modules() if isinstance(layer, torch.nn.BatchNorm2d)} == {
        (0.1, 1e-5)
    }
    x = torch.randn(16, 3, 32, 32)
    block, stem = body[3], body[:3](x)
    assert stem.min() == 0 and stem.shape == (16, 16, 32, 32) and body[:9](x).shape == (16, 128, 8, 8)
    convolution, normalisation = block.shortcut
    active = torch.nn.functional.batch_norm(stem, None, None, training=True, eps=1e-5).relu()
    projected = torch.nn.functional.batch_norm(convolution(active), None, None, training=True, eps=1e-5)
    torch.testing.assert_close(block.shortcut(active), projected)
    assert normalisation.num_features == 32 and projected.min() < -1


def test_the_initialiser_of_tensor2tensors_resnet_is_a_cut_normal_of_variance_1_over_fan_in():
    torch.manual_seed(1)
    network = build("resnet_20_t2t", (3, 32, 32), 100)
    for weight, variance in (
        (network.body[8].convolutions[1].weight, 1 / (9 * 64)),
        (network.body[9].convolutions[0].weight, 1 / (9 * 64)),
        (network.body[9].shortcut[0].weight, 1 / 64),
        (network.head.weight, 4 / (128 + 100)),
    ):
        assert weight.var().item() == pytest.approx(variance, rel=0.05)
        greatest = 2 * variance**0.5 / 0.8796256610342398
        assert 0.95 * greatest < weight.abs().max() <= greatest
    assert network.head.bias.abs().max() == 0


def test_weights_that_decay():
    """tensor2tensor leaves out biases alone, and calls no parameter of batch normalisation a bias."""
    network = build("resnet_8_t2t", (3, 32, 32), 10)
    for name, decays in (("resnet_8_t2t", lambda n: n != "head.bias"), ("resnet_8", lambda n: n.endswith("weight"))):
        protocol = protocol_of(name)
        for parameter, _ in network.named_parameters():
            assert protocol.decay_of(parameter) == (1e-4 if decays(parameter) else 0), (name, parameter)


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
    assert protocol_of("resnet_56_t2t") is protocol_of("resnet_8_t2t") is PROTOCOLS["resnet_t2t"]
    with pytest.raises(VisionError, match="no network 'vgg_16': choose one of the families mlp_1200, "):
        protocol_of("vgg_16")


def test_tensor2tensors_loss_multiplier_is_for_its_networks_alone():
    assert {name: PROTOCOLS[name].loss_scale for name in PROTOCOLS} == {
        "mlp_1200": 1,
        "mlp_1200_dropout": 1,
        "mlp": 1,
        "alexnet": 3,
        "resnet": 3,
        "resnet_t2t": 3,
    }


def test_training_images_are_augmented_where_the_protocol_says_so(rng):
    pixels = torch.randint(256, (6, 1, 28, 28), generator=rng).to(torch.uint8)
    state = rng.get_state()
    plain, augmented = protocol_of("mlp_800"), protocol_of("mlp_1200")
    numbers = plain.draw(6, (1, 28, 28), rng)
    assert torch.equal(plain.training_images(pixels, numbers), augment.scaled(pixels))
    assert torch.equal(rng.get_state(), state)
    numbers = augmented.draw(6, (1, 28, 28), rng)
    assert not torch.equal(augmented.training_images(pixels, numbers), augment.scaled(pixels))
