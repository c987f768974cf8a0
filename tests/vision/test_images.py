"""Sets of images as one tensor, and augmentations of a batch."""

import numpy as np
import pytest
import torch

from data_prep.__main__ import main
from mt_ls.vision import VisionError, images


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("images") / "synthetic_images"
    assert main(["synthetic_images", "--out", str(out)]) == 0
    return out


def _rng():
    return torch.Generator().manual_seed(1)


def test_a_split_is_loaded_as_it_was_written(folder):
    data = images.load(folder, "valid")
    assert data.pixels.shape == (200, 3, 32, 32) and data.pixels.dtype == torch.uint8
    stored = np.load(folder / "valid-images.npy")
    np.testing.assert_array_equal(data.pixels.permute(0, 2, 3, 1).numpy(), stored)


def test_what_is_no_set_of_images_is_refused(folder, tmp_path):
    with pytest.raises(VisionError, match="no set of images; make it with"):
        images.manifest(tmp_path)
    (tmp_path / "manifest.json").write_text((folder / "manifest.json").read_text())
    with pytest.raises(VisionError, match="split train cannot be read"):
        images.load(tmp_path, "train")
    np.save(tmp_path / "train-images.npy", np.zeros((5, 32, 32, 3), "u1"))
    np.save(tmp_path / "train-labels.npy", np.zeros(5, int))
    with pytest.raises(VisionError, match="split train is not what its manifest says"):
        images.load(tmp_path, "train")


def test_a_crop_is_a_window_of_the_padded_image_and_every_window_comes():
    """Pixels that tell their own place, from 1; 0 is the border."""
    pixels = torch.arange(1, 17, dtype=torch.uint8).view(1, 1, 4, 4).expand(500, 2, 4, 4)
    found = images.cropped(pixels, 3, 1, _rng())
    padded = torch.nn.functional.pad(pixels[0], (1, 1, 1, 1))
    windows = [padded[:, i : i + 3, j : j + 3] for i in range(4) for j in range(4)]
    which = [[torch.equal(one, window) for window in windows] for one in found]
    assert all(sum(row) == 1 for row in which)
    assert np.array(which).sum(0).min() > 10


def test_half_of_the_images_are_flipped():
    pixels = torch.arange(4, dtype=torch.uint8).view(1, 1, 1, 4).expand(400, 1, 1, 4)
    turned = (images.flipped(pixels, _rng())[:, 0, 0, 0] == 3).float().mean()
    assert 0.4 < turned < 0.6


def test_standardised_images_have_mean_0_and_deviation_1_and_a_blank_one_is_0():
    pixels = torch.randint(256, (5, 3, 8, 8), generator=_rng()).to(torch.uint8)
    pixels[4] = 7
    found = images.standardised(pixels)
    assert found[:4].mean(dim=(1, 2, 3)).abs().max() < 1e-5
    torch.testing.assert_close(found[:4].square().mean(dim=(1, 2, 3)), torch.ones(4))
    assert found[4].abs().max() == 0


@pytest.mark.parametrize("augment", [images.shift, images.crop_and_flip, images.distort])
def test_augmentations_depend_on_the_generator_alone(augment):
    pixels = torch.randint(256, (6, 3, 32, 32), generator=_rng()).to(torch.uint8)
    one, again, other = (augment(pixels, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, again) and not torch.equal(one, other)
    assert one.dtype == torch.float32 and one.shape[-1] == (24 if augment is images.distort else 32)


def test_the_middle_is_cut_out():
    pixels = torch.arange(16).view(1, 1, 4, 4)
    assert images.centred(pixels, 2).tolist() == [[[[5, 6], [9, 10]]]]
