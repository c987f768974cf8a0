"""The data folder: complete or not there, made again only when something changed."""

import json
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT, run
from fairseq.data.indexed_dataset import MMapIndexedDataset

from data_prep import binarise
from data_prep.__main__ import main


def _prepare(out, *options):
    found = run([sys.executable, "-m", "data_prep", "synthetic", "--out", str(out), *options])
    assert found.returncode == 0, found.stderr
    return found.stdout + found.stderr


def test_manifest_says_what_is_there(data):
    manifest = json.loads((data / "manifest.json").read_text())
    assert manifest["counts"] == {"train": 2000, "valid": 200, "test": 211}
    for split, count in manifest["counts"].items():
        for language in ("en", "de"):
            assert len((data / "text" / f"{split}.{language}").read_text().splitlines()) == count
            assert (data / f"{split}.en-de.{language}.bin").stat().st_size > 0
    assert manifest["settings"]["seed"] == 1 and len(manifest["hash"]) == 64
    assert set(manifest["versions"]) == {"sentencepiece", "numpy", "torch"}


def test_made_once_and_again_when_a_setting_changes(data, tmp_path):
    out = tmp_path / "synthetic"
    shutil.copytree(data, out)
    before = json.loads((out / "manifest.json").read_text())
    stamp = (out / "manifest.json").stat().st_mtime_ns
    assert "is up to date" in _prepare(out)
    assert (out / "manifest.json").stat().st_mtime_ns == stamp
    assert "train 2000" in _prepare(out, "--seed", "2")
    after = json.loads((out / "manifest.json").read_text())
    assert after["hash"] != before["hash"] and after["settings"]["seed"] == 2
    assert "train 2000" in _prepare(out)
    assert json.loads((out / "manifest.json").read_text()) == before


def test_interrupted_it_leaves_nothing_that_looks_complete(tmp_path, monkeypatch):
    def interrupted(folder, n_parts):
        raise KeyboardInterrupt

    monkeypatch.setattr(binarise, "_preprocess", interrupted)
    with pytest.raises(KeyboardInterrupt):
        main(["synthetic", "--out", str(tmp_path / "data-bin" / "synthetic")])
    assert [path.name for path in (tmp_path / "data-bin").iterdir()] == [".synthetic.lock"]


def test_a_long_train_set_comes_in_parts_that_fairseq_joins(data, tmp_path, monkeypatch):
    monkeypatch.setattr(binarise, "PART", 700)
    out = tmp_path / "synthetic"
    assert main(["synthetic", "--out", str(out)]) == 0
    assert (out / "dict.en.txt").read_bytes() == (data / "dict.en.txt").read_bytes()
    parts = [len(MMapIndexedDataset(str(out / f"train{part}.en-de.de"))) for part in ("", "1", "2")]
    assert parts == [700, 700, 600]
    manifests = [json.loads((folder / "manifest.json").read_text()) for folder in (data, out)]
    assert manifests[0] == manifests[1]


def test_two_at_once_make_the_data_once(tmp_path):
    out = tmp_path / "synthetic"
    command = [sys.executable, "-m", "data_prep", "synthetic", "--out", str(out)]
    both = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    told = sorted(process.communicate(timeout=120) for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert "is up to date" in told[0][1] and "waiting for it" in told[0][1]
    assert "train 2000" in told[1][0] and "waiting" not in told[1][1]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".synthetic.lock", "synthetic"]


def test_any_number_of_synthetic_pairs(tmp_path):
    out = tmp_path / "synthetic"
    assert main(["synthetic", "--out", str(out), "--pairs", "5000"]) == 0
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["counts"] == {"train": 5000, "valid": 200, "test": 211}  # none is a duplicate of another
