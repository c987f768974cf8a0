"""MNIST's wheel: its bytes, and a pickle that is no MNIST or would run code."""

import gzip
import pickle
import zipfile

import numpy as np
import pytest

from data_prep import DataError, mnist_wheel
from data_prep.__main__ import main


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
