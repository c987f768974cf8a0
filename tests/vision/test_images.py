"""Sets of images as tensors: what data_prep wrote is read, and a folder that is damaged is refused in one line."""

import json
import shutil

import numpy as np
import pytest
import torch

from data_prep.__main__ import main
from mt_ls.vision import VisionError, images


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
