"""Sets of images as tensors, and the augmentations."""

import json
import shutil

import numpy as np
import pytest
import torch

from data_prep.__main__ import main
from mt_ls.vision import VisionError, augment, images


def test_a_set_of_data_prep_is_read(tmp_path):
    folder = tmp_path / "synthetic_digits"
    assert main(["synthetic_digits", "--out", str(folder)]) == 0
    manifest, valid = images.read_manifest(folder), images.load(folder, "valid")
    assert manifest.name == "synthetic_digits" and manifest.classes[3] == "pattern 3"
    assert valid.pixels.shape == (200, 1, 28, 28) and valid.pixels.dtype == torch.uint8
    np.testing.assert_array_equal(valid.pixels.permute(0, 2, 3, 1), np.load(folder / "valid-images.npy"))
    np.testing.assert_array_equal(valid.labels, np.load(folder / "valid-labels.npy"))


def test_a_corpus_of_jpeg_says_so(image_set, tmp_path):
    fields = json.loads((image_set / "manifest.json").read_text())
    for encoding, name in {"JPEG": "tiny (JPEG)", "PNG": "tiny"}.items():
        (tmp_path / "manifest.json").write_text(json.dumps({**fields, "encoding": encoding}))
        assert images.read_manifest(tmp_path).name == name


def test_classes_are_chosen_by_name(image_set):
    manifest = images.read_manifest(image_set)
    assert manifest.chosen(["ship", "cat"]) == (("ship", "cat"), (3, 0))
    with pytest.raises(VisionError, match="no class 'bird'; there are cat, dog, frog, ship"):
        manifest.chosen(["cat", "bird"])


@pytest.mark.parametrize("content", [None, "no JSON", '{"corpus": "multi30k", "languages": ["en", "de"]}'])
def test_a_folder_without_images_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(VisionError, match="no set of images; make it with"):
        images.read_manifest(tmp_path)


def test_a_split_that_is_missing_or_differs_from_the_manifest_is_refused(image_set, tmp_path):
    folder = shutil.copytree(image_set, tmp_path / "copy")
    (folder / "valid-labels.npy").unlink()
    with pytest.raises(VisionError, match="split valid cannot be read"):
        images.load(folder, "valid")
    np.save(folder / "train-images.npy", np.zeros((249, 8, 8, 3), "u1"))
    np.save(folder / "test-labels.npy", np.zeros(29, int))
    for split in ("train", "test"):
        with pytest.raises(VisionError, match=f"split {split} differs from its manifest"):
            images.load(folder, split)


def test_a_random_crop_is_a_window_of_the_padded_image_and_every_window_comes(rng):
    """Each pixel is the number of its place, from 1; the border is 0."""
    pixels = torch.arange(1, 17, dtype=torch.uint8).view(1, 1, 4, 4).expand(500, 2, 4, 4)
    crops = augment.random_crop(pixels, 3, 1, rng)
    padded = torch.nn.functional.pad(pixels[0], (1, 1, 1, 1))
    windows = [padded[:, i : i + 3, j : j + 3] for i in range(4) for j in range(4)]
    matches = np.array([[torch.equal(crop, window) for window in windows] for crop in crops])
    assert (matches.sum(1) == 1).all()
    assert matches.sum(0).min() > 10


def test_half_of_the_images_are_mirrored(rng):
    pixels = torch.arange(4, dtype=torch.uint8).view(1, 1, 1, 4).expand(400, 1, 1, 4)
    flipped = augment.random_flip(pixels, rng)[:, 0, 0]
    mirrored = (flipped == torch.tensor([3, 2, 1, 0])).all(1)
    assert (mirrored | (flipped == torch.arange(4)).all(1)).all()
    assert 0.4 < mirrored.float().mean() < 0.6


def test_standardised_images_have_mean_0_and_deviation_1_and_a_blank_image_is_0(rng):
    pixels = torch.randint(256, (5, 3, 8, 8), generator=rng).to(torch.uint8)
    pixels[4] = 7
    standardised = augment.standardised(pixels)
    assert standardised[:4].mean(dim=(1, 2, 3)).abs().max() < 1e-5
    torch.testing.assert_close(standardised[:4].square().mean(dim=(1, 2, 3)), torch.ones(4))
    assert standardised[4].abs().max() == 0


def test_an_almost_blank_image_is_divided_by_no_less_than_tensorflow_does():
    """TensorFlow's divisor is at least 1 / sqrt(number of pixels and channels)."""
    pixels = torch.full((1, 3, 8, 8), 7, dtype=torch.uint8)
    pixels[0, 0, 0, 0] = 8
    expected = (1 - 1 / 192) / max((1 / 192 * (1 - 1 / 192)) ** 0.5, 192**-0.5)
    assert augment.standardised(pixels)[0, 0, 0, 0].item() == pytest.approx(expected, rel=1e-4)


def test_the_centre_is_the_middle_of_an_image():
    assert augment.centre(torch.arange(16).view(1, 1, 4, 4), 2).tolist() == [[[[5, 6], [9, 10]]]]


AUGMENTATIONS = {augment.shift: 32, augment.crop_and_flip: 32, augment.distort: 24}


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_an_augmentation_depends_on_its_generator_alone(augmentation, rng):
    pixels = torch.randint(256, (6, 3, 32, 32), generator=rng).to(torch.uint8)
    first, again, other = (augmentation(pixels, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert first.dtype == torch.float32 and first.shape[-1] == AUGMENTATIONS[augmentation]


def test_shifted_digits_are_in_0_to_1_and_move_by_up_to_two_pixels(rng):
    pixels = torch.zeros(300, 1, 7, 7, dtype=torch.uint8)
    pixels[:, 0, 3, 3] = 255
    shifted = augment.shift(pixels, rng)
    assert set(shifted.unique().tolist()) == {0.0, 1.0}
    places = {tuple(place) for place in shifted.nonzero()[:, 2:].tolist()}
    assert places == {(row, column) for row in range(1, 6) for column in range(1, 6)}


def test_distortion_of_brightness_and_contrast_leaves_a_standardised_image(rng):
    """Both are linear in an image of equal channels' means, so standardising takes them out again."""
    pixels = torch.randint(256, (4, 1, 24, 24), generator=rng).to(torch.uint8)
    plain = augment.standardised(pixels)
    for distorted, image in zip(augment.distort(pixels, rng), plain, strict=True):
        torch.testing.assert_close(distorted, min(image, image.flip(-1), key=lambda x: (x - distorted).abs().sum()))


def test_contrast_scales_each_channel_about_its_mean_by_a_factor_in_0_2_to_1_8(rng):
    """The factor scales the deviation within a channel, and not the distance between the channels' means."""
    noise = torch.randint(41, (200, 3, 24, 24), generator=rng)
    pixels = (torch.tensor([50, 100, 200]).view(3, 1, 1) + noise).to(torch.uint8)

    def within_to_between(images):
        means = images.float().mean(dim=(2, 3))
        return images.float().std(dim=(2, 3))[:, 0] / (means[:, 2] - means[:, 0])

    factors = within_to_between(augment.distort(pixels, rng)) / within_to_between(pixels)
    assert 0.2 <= factors.min() < 0.25 and 1.75 < factors.max() <= 1.8


def test_images_of_inception_are_in_minus_1_to_1(rng):
    pixels = torch.randint(256, (2, 3, 301, 303), generator=rng).to(torch.uint8)
    pixels[:, :, 150, 150], pixels[:, :, 150, 151] = 0, 255
    for cropped in (augment.crop_299(pixels, rng), augment.centre_299(pixels)):
        assert cropped.shape == (2, 3, 299, 299) and (cropped.min(), cropped.max()) == (-1, 1)


def test_the_tutorials_images_for_evaluation_are_the_centre_standardised(rng):
    pixels = torch.randint(256, (2, 3, 32, 32), generator=rng).to(torch.uint8)
    torch.testing.assert_close(augment.centre_24(pixels), augment.standardised(pixels[..., 4:28, 4:28]))
