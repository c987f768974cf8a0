"""The data folder: complete or not there, made again only when something changed."""

import json
import shutil
import sys

import pytest
from conftest import run

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
    def interrupted(folder):
        raise KeyboardInterrupt

    monkeypatch.setattr(binarise, "_preprocess", interrupted)
    with pytest.raises(KeyboardInterrupt):
        main(["synthetic", "--out", str(tmp_path / "data-bin" / "synthetic")])
    assert list((tmp_path / "data-bin").iterdir()) == []
