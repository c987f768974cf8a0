"""A tiny set of images and a network trained on it, which the tests of this folder share."""

import contextlib
import json

import numpy as np
import pytest
import torch

from mt_ls.vision import images
from mt_ls.vision.__main__ import main

CLASSES = ["cat", "dog", "frog", "ship"]
SIZES = {"train": 250, "valid": 40, "test": 30}


@pytest.fixture(scope="session")
def image_set(tmp_path_factory):
    """A folder as data_prep writes it: RGB images of 8 x 8 pixels, each class a pattern under noise."""
    folder = tmp_path_factory.mktemp("data-bin") / "tiny"
    folder.mkdir()
    rng = np.random.default_rng(1)
    patterns = rng.normal(size=(len(CLASSES), 8, 8, 3))
    for split, n in SIZES.items():
        labels = rng.integers(len(CLASSES), size=n)
        pixels = 128 + 6 * patterns[labels] + 50 * rng.normal(size=(n, 8, 8, 3))
        np.save(folder / f"{split}-images.npy", pixels.clip(0, 255).astype("u1"))
        np.save(folder / f"{split}-labels.npy", labels)
    manifest = {"corpus": "tiny", "classes": CLASSES, "counts": SIZES, "shape": [8, 8, 3], "hash": "d" * 64}
    (folder / "manifest.json").write_text(json.dumps({**manifest, "encoding": "bytes"}))
    return folder


@pytest.fixture(scope="session")
def splits(image_set):
    """The splits of that set as tensors."""
    return {split: images.load(image_set, split) for split in SIZES}


@pytest.fixture(scope="session")
def arguments(image_set):
    """The command's arguments for four updates, two epochs, of resnet_8 in a run's folder, and more options."""

    def of(run, *options):
        fixed = ("--network", "resnet_8", "--updates", 4, "--cpu", "--run", run)
        return [str(word) for word in (image_set, *fixed, *options)]

    return of


@pytest.fixture(scope="session")
def full_options():
    """Options of a run with every kind of record."""
    return ("--alpha", 0.1, "--information", "cat", "frog", "--planes", "cat;dog;ship")


@pytest.fixture(scope="session")
def teacher(arguments, full_options, tmp_path_factory):
    """The folder of a finished run of resnet_8 with smoothing 0.1."""
    run = tmp_path_factory.mktemp("runs") / "teacher"
    assert main(arguments(run, *full_options)) == 0
    return run


@pytest.fixture
def rng():
    """A generator of a fixed seed."""
    return torch.Generator().manual_seed(1)


class Calls:
    """Records work as the call of it, which a CPU can repeat. Counts recordings and repetitions."""

    def __init__(self):
        self.n_recorded = self.n_repeated = 0

    def stream(self):
        return contextlib.nullcontext()

    def record(self, work):
        self.n_recorded += 1

        def repeat():
            self.n_repeated += 1
            work()

        return repeat


@pytest.fixture
def recorder():
    """A recorder of Python calls."""
    return Calls()
