"""Images from the hub's schema and from MNIST's wheel, and one line for each bad input."""

import dataclasses
import gzip
import io
import json
import pickle
import zipfile

import numpy as np
import pytest
from PIL import Image

from data_prep import DataError, mnist_wheel
from data_prep.__main__ import main
from data_prep.images import IMAGE_SETS

datasets = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def _no_folder_of_the_user(monkeypatch, tmp_path):
    monkeypatch.delenv("MT_LS_DATA", raising=False)
    monkeypatch.setenv("MT_LS_CACHE", str(tmp_path / "cache"))
    # 10 images go to valid instead of 10 000
    monkeypatch.setitem(IMAGE_SETS, "cifar10", dataclasses.replace(IMAGE_SETS["cifar10"], held_out=10))


def _png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return {"bytes": file.getvalue(), "path": None}


def _folder(path, pixels, labels, names=tuple("0123456789"), columns=("img", "label"), splits=("train", "test")):
    """Parquet files in the hub's schema, with any numbers as labels."""
    import pyarrow
    import pyarrow.parquet

    path.mkdir(parents=True)
    features = datasets.Features({columns[0]: datasets.Image(), columns[1]: datasets.ClassLabel(names=list(names))})
    for split in splits:
        stored = [p if isinstance(p, dict) else _png(p) for p in pixels]
        table = pyarrow.table(
            {
                columns[0]: pyarrow.array(
                    stored, pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()})
                ),
                columns[1]: pyarrow.array(labels, pyarrow.int64()),
            }
        ).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features.to_dict()}})})
        pyarrow.parquet.write_table(table, path / f"{split}-00000-of-00001.parquet")
    return path


def _colours(n=30, shape=(32, 32, 3)):
    return np.random.default_rng(1).integers(256, size=(n, *shape)).astype("u1")


def test_a_folder_in_the_hubs_schema_becomes_arrays(tmp_path):
    pixels, labels = _colours(), np.arange(30) % 10
    source = _folder(tmp_path / "cifar10", pixels, labels)
    assert main(["cifar10", "--out", str(tmp_path / "out"), "--source", str(source)]) == 0
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["counts"] == {"train": 20, "valid": 10, "test": 30} and manifest["encoding"] == "PNG"
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "train-images.npy"), pixels[:20])
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "valid-images.npy"), pixels[20:])
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "valid-labels.npy"), labels[20:])


def _encoded(pixels, form, **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return {"bytes": file.getvalue(), "path": None}


@pytest.mark.parametrize(
    ("form", "options", "name", "is_exact"),
    [
        ("PNG", {}, "PNG", True),
        ("JPEG", {}, "JPEG", False),
        ("WEBP", {"lossless": True}, "WebP, lossless", True),
        ("WEBP", {"lossless": True, "exif": b"Exif\x00\x00odd"}, "WebP, lossless", True),
        ("WEBP", {}, "WebP", False),
        ("WEBP", {"exif": b"Exif\x00\x00odd"}, "WebP", False),
        ("BMP", {}, "?", True),
    ],
)
def test_the_encoding_is_named(tmp_path, form, options, name, is_exact):
    """A file with metadata has an extended header before its image."""
    pixels = _colours()
    source = _folder(tmp_path / "cifar10", [_encoded(p, form, **options) for p in pixels], np.arange(30) % 10)
    assert main(["cifar10", "--out", str(tmp_path / "out"), "--source", str(source)]) == 0
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["encoding"] == name
    assert np.array_equal(np.load(tmp_path / "out" / "test-images.npy"), pixels) == is_exact


def test_a_second_run_writes_nothing_and_other_data_has_another_hash(tmp_path, capsys):
    assert main(["synthetic_images", "--out", str(tmp_path / "a")]) == 0
    before = (tmp_path / "a" / "manifest.json").stat().st_mtime_ns
    assert main(["synthetic_images", "--out", str(tmp_path / "a")]) == 0
    assert (tmp_path / "a" / "manifest.json").stat().st_mtime_ns == before
    assert "up to date" in capsys.readouterr().out
    assert main(["synthetic_images", "--out", str(tmp_path / "b"), "--seed", "2"]) == 0
    hashes = [json.loads((tmp_path / name / "manifest.json").read_text())["hash"] for name in "ab"]
    assert hashes[0] != hashes[1]


def _fails(arguments, out, capsys):
    """The one line of a run that fails and leaves nothing."""
    assert main([*map(str, arguments), "--out", str(out)]) == 2
    assert not out.exists() and not list(out.parent.glob(f".{out.name}.[0-9]*"))
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("data_prep: error: ")
    return lines[0]


def test_bad_images_are_named(tmp_path, capsys):
    good, labels = _colours(), np.arange(30) % 10

    def line(name, pixels, labels=labels, **more):
        source = _folder(tmp_path / name, pixels, labels, **more)
        return _fails(["cifar10", "--source", source], tmp_path / "out", capsys)

    assert "train image 3: it is RGB of 30 x 32 pixels" in line("shape", [*good[:3], good[0][:, :30], *good[4:]])
    assert "train image 4: it is L of 32 x 32" in line("mode", [*good[:4], good[0][..., 0], *good[5:]])
    torn = {"bytes": _png(good[0])["bytes"][:200], "path": None}
    assert "train image 5: cannot be read as an image" in line("torn", [*good[:5], torn, *good[6:]])
    text = {"bytes": b"no image", "path": None}
    assert "train image 6: cannot be read as an image" in line("text", [*good[:6], text, *good[7:]])
    assert "its label -1 is none of the 10 classes" in line("hidden", good, np.full(30, -1))
    assert "its label 12 is none of the 10 classes" in line("outside", good, np.full(30, 12))
    assert "no column 'img'" in line("columns", good, columns=("picture", "label"))
    assert "has no split 'test'" in line("splits", good, splits=("train", "validation"))


def test_a_folder_without_images_is_refused(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert "has no file" in _fails(["cifar10", "--source", tmp_path / "empty"], tmp_path / "out", capsys)
    assert "no such folder" in _fails(["cifar10", "--source", tmp_path / "none"], tmp_path / "out", capsys)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "README.txt").write_text("nothing here")
    _fails(["cifar10", "--source", tmp_path / "notes"], tmp_path / "out", capsys)


def _wheel(path, content):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mnist/data/mnist.pkl.gz", gzip.compress(content))
    return path


def _grey(n):
    return np.random.default_rng(1).integers(256, size=(n, 28, 28, 1)).astype("u1")


def _pickled(grey, labels):
    part = (grey.reshape(len(grey), 784).astype("f4") / 256, labels)
    return pickle.dumps((part, part, part), protocol=3)


def test_the_bytes_and_labels_come_back(tmp_path):
    grey = _grey(6)
    splits = mnist_wheel.read(_wheel(tmp_path / "digits.whl", _pickled(grey, np.arange(6))))
    assert list(splits) == ["train", "valid", "test"]
    for pixels, labels in splits.values():
        np.testing.assert_array_equal(pixels, grey)
        assert pixels.dtype == np.uint8 and labels == [0, 1, 2, 3, 4, 5]


def test_the_command_reads_a_wheel(tmp_path):
    wheel = _wheel(tmp_path / "digits.whl", _pickled(_grey(6), np.arange(6)))
    assert main(["mnist", "--out", str(tmp_path / "out"), "--source", str(wheel)]) == 0
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "test-images.npy"), _grey(6))
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "valid-labels.npy"), np.arange(6))


class _Harmful:
    def __reduce__(self):
        return (print, ("harm",))


class _HarmfulOfNumpy:
    def __reduce__(self):
        return (np.save, ("harm", 1))


@pytest.mark.parametrize(("harmful", "name"), [(_Harmful, "builtins.print"), (_HarmfulOfNumpy, "numpy.save")])
def test_a_pickle_that_asks_for_more_than_arrays_is_refused(tmp_path, capsys, monkeypatch, harmful, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=rf"d\.whl: mnist\.pkl\.gz: it asks for {name}, and only arrays are allowed"):
        mnist_wheel.read(_wheel(tmp_path / "d.whl", pickle.dumps(harmful())))
    assert "harm" not in capsys.readouterr().out and not (tmp_path / "harm.npy").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no pickle",
        pickle.dumps(5),
        pickle.dumps((1, 2, 3)),
        pickle.dumps(((np.zeros((1, 784)), "label"),) * 3),
        _pickled(_grey(3), np.arange(2)),
        pickle.dumps(((np.zeros((1, 700)), np.zeros(1)),) * 3),
    ],
)
def test_a_wheel_without_mnist_is_refused(tmp_path, content):
    with pytest.raises(DataError, match=r"d\.whl: has no MNIST .*; delete it and run again"):
        mnist_wheel.read(_wheel(tmp_path / "d.whl", content))


def test_a_file_of_the_pinned_name_with_other_content_is_refused(tmp_path):
    with pytest.raises(DataError, match="sha256 is"):
        mnist_wheel.read(_wheel(tmp_path / mnist_wheel.FILE, b""))


def test_a_file_that_is_no_wheel_is_refused(tmp_path):
    (tmp_path / "d.whl").write_text("no archive")
    with pytest.raises(DataError, match="has no MNIST"):
        mnist_wheel.read(tmp_path / "d.whl")
