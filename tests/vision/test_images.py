"""Sets of images as tensors, and the augmentations."""

import json
import shutil

import numpy as np
import pytest
import torch

from data_prep.__main__ import main
from mt_ls.vision import VisionError, augment, images
from mt_ls.vision.augment import Augmentation


def test_a_set_of_data_prep_is_read(tmp_path):
    folder = tmp_path / "synthetic_digits"
    assert main(["synthetic_digits", "--out", str(folder)]) == 0
    manifest, valid = images.read_manifest(folder), images.load(folder, "valid")
    assert manifest.name == "synthetic_digits" and manifest.classes[3] == "pattern 3"
    assert valid.pixels.shape == (200, 1, 28, 28) and valid.pixels.dtype == torch.uint8
    np.testing.assert_array_equal(valid.pixels.permute(0, 2, 3, 1), np.load(folder / "valid-images.npy"))
    np.testing.assert_array_equal(valid.labels, np.load(folder / "valid-labels.npy"))


def test_a_corpus_names_an_encoding_that_altered_its_pixels(image_set, tmp_path):
    fields = json.loads((image_set / "manifest.json").read_text())
    names = {"JPEG": "tiny (JPEG)", "WebP": "tiny (WebP)", "PNG": "tiny", "WebP, lossless": "tiny", "bytes": "tiny"}
    for encoding, name in names.items():
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


def _augmented(augmentation, pixels, rng):
    return augmentation(pixels, augmentation.draw(len(pixels), tuple(pixels.shape[1:]), rng))


def _as_bytes(pixels):
    return pixels


def test_a_crop_is_a_window_of_the_padded_image_and_every_window_comes(rng):
    """Each pixel is the number of its place, from 1; the border is 0."""
    pixels = torch.arange(1, 17, dtype=torch.uint8).view(1, 1, 4, 4).expand(500, 2, 4, 4)
    crops = _augmented(Augmentation(finish=_as_bytes, size=3, padding=1), pixels, rng)
    padded = torch.nn.functional.pad(pixels[0], (1, 1, 1, 1))
    windows = [padded[:, i : i + 3, j : j + 3] for i in range(4) for j in range(4)]
    matches = np.array([[torch.equal(crop, window) for window in windows] for crop in crops])
    assert (matches.sum(1) == 1).all()
    assert matches.sum(0).min() > 10


def test_half_of_the_images_are_mirrored(rng):
    pixels = torch.arange(16, dtype=torch.uint8).view(1, 1, 4, 4).expand(400, 1, 4, 4)
    flipped = _augmented(Augmentation(finish=_as_bytes, flips=True), pixels, rng)
    mirrored = (flipped == pixels.flip(-1)).all(3).all(2).all(1)
    assert (mirrored | (flipped == pixels).all(3).all(2).all(1)).all()
    assert 0.4 < mirrored.float().mean() < 0.6


def test_numbers_are_drawn_in_the_order_on_which_published_records_depend(rng):
    """Rows, columns, mirrors, then brightness and contrast together."""
    again = torch.Generator().manual_seed(1)
    numbers = augment.DISTORT.draw(6, (3, 32, 30), rng)
    rows, columns = torch.randint(9, (6, 1), generator=again), torch.randint(7, (6, 1), generator=again)
    mirrors, distortions = torch.rand(6, generator=again), torch.rand(2, 6, 1, 1, 1, generator=again)
    expected = [rows[:, 0], columns[:, 0], mirrors, *distortions.view(2, 6)]
    assert torch.equal(numbers, torch.stack([values.float() for values in expected], 1))
    assert torch.equal(rng.get_state(), again.get_state())


def test_images_do_not_depend_on_what_is_augmented_beside_them(rng):
    pixels = torch.randint(256, (40, 3, 32, 32), generator=rng).to(torch.uint8)
    for augmentation in AUGMENTATIONS:
        numbers = augmentation.draw(40, (3, 32, 32), rng)
        apart = [augmentation(pixels[i : i + 8], numbers[i : i + 8]) for i in range(0, 40, 8)]
        torch.testing.assert_close(augmentation(pixels, numbers), torch.cat(apart), rtol=1e-5, atol=1e-6)


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


AUGMENTATIONS = {augment.SHIFT: 32, augment.CROP_AND_FLIP: 32, augment.DISTORT: 24}


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_an_augmentation_depends_on_its_generator_alone(augmentation, rng):
    pixels = torch.randint(256, (6, 3, 32, 32), generator=rng).to(torch.uint8)
    first, again, other = (_augmented(augmentation, pixels, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert first.dtype == torch.float32 and first.shape[-1] == AUGMENTATIONS[augmentation]


def test_shifted_digits_are_in_0_to_1_and_move_by_up_to_two_pixels(rng):
    pixels = torch.zeros(300, 1, 7, 7, dtype=torch.uint8)
    pixels[:, 0, 3, 3] = 255
    shifted = _augmented(augment.SHIFT, pixels, rng)
    assert set(shifted.unique().tolist()) == {0.0, 1.0}
    places = {tuple(place) for place in shifted.nonzero()[:, 2:].tolist()}
    assert places == {(row, column) for row in range(1, 6) for column in range(1, 6)}


def test_distortion_of_brightness_and_contrast_leaves_a_standardised_image(rng):
    """Both are linear in an image of equal channels' means, so standardising takes them out again."""
    pixels = torch.randint(256, (4, 1, 24, 24), generator=rng).to(torch.uint8)
    plain = augment.standardised(pixels)
    for distorted, image in zip(_augmented(augment.DISTORT, pixels, rng), plain, strict=True):
        torch.testing.assert_close(distorted, min(image, image.flip(-1), key=lambda x: (x - distorted).abs().sum()))


def test_contrast_scales_each_channel_about_its_mean_by_a_factor_in_0_2_to_1_8(rng):
    """The factor scales the deviation within a channel, and not the distance between the channels' means."""
    noise = torch.randint(41, (200, 3, 24, 24), generator=rng)
    pixels = (torch.tensor([50, 100, 200]).view(3, 1, 1) + noise).to(torch.uint8)

    def within_to_between(images):
        means = images.float().mean(dim=(2, 3))
        return images.float().std(dim=(2, 3))[:, 0] / (means[:, 2] - means[:, 0])

    factors = within_to_between(_augmented(augment.DISTORT, pixels, rng)) / within_to_between(pixels)
    assert 0.2 <= factors.min() < 0.25 and 1.75 < factors.max() <= 1.8


def test_the_tutorials_images_for_evaluation_are_the_centre_standardised(rng):
    pixels = torch.randint(256, (2, 3, 32, 32), generator=rng).to(torch.uint8)
    torch.testing.assert_close(augment.centre_24(pixels), augment.standardised(pixels[..., 4:28, 4:28]))
