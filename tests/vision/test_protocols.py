"""The protocols of appendix A: rates, augmentation, and which protocol a network has."""

import pytest
import torch

from mt_ls.vision import VisionError, augment
from mt_ls.vision.protocols import PROTOCOLS, protocol_of


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
