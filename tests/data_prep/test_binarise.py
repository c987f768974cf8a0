"""Subwords, and the data folder: whole or absent, written again only when a setting changes."""

import json
import shutil

import pytest
import sentencepiece
from fairseq.data.indexed_dataset import MMapIndexedDataset

from data_prep import DataError, binarise, subwords, synthetic
from data_prep.__main__ import main


def test_the_manifest_describes_the_files(data):
    manifest = json.loads((data / "manifest.json").read_text())
    assert manifest["counts"] == {"train": 2000, "valid": 200, "test": 211}
    for split, count in manifest["counts"].items():
        for language in ("en", "de"):
            assert len((data / "text" / f"{split}.{language}").read_text().splitlines()) == count
            assert (data / f"{split}.en-de.{language}.bin").stat().st_size > 0
    assert manifest["settings"]["seed"] == 1 and len(manifest["hash"]) == 64
    assert set(manifest["versions"]) == {"sentencepiece", "numpy", "torch"}


def test_data_is_written_again_when_a_setting_changes_and_is_the_same_for_the_same_settings(
    data, tmp_path, binarised_here
):
    out = tmp_path / "synthetic"
    shutil.copytree(data, out)
    before = json.loads((out / "manifest.json").read_text())
    assert main(["synthetic", "--out", str(out), "--seed", "2"]) == 0
    after = json.loads((out / "manifest.json").read_text())
    assert after["hash"] != before["hash"] and after["settings"]["seed"] == 2
    assert main(["synthetic", "--out", str(out)]) == 0
    assert json.loads((out / "manifest.json").read_text()) == before


def test_an_interrupted_preparation_leaves_no_data_folder(tmp_path, monkeypatch):
    def interrupted(folder, counts, n_parts):
        raise KeyboardInterrupt

    monkeypatch.setattr(binarise, "_preprocess", interrupted)
    assert main(["synthetic", "--out", str(tmp_path / "data-bin" / "synthetic")]) == 130
    assert [path.name for path in (tmp_path / "data-bin").iterdir()] == [".synthetic.lock"]


def test_a_long_train_set_comes_in_parts_that_fairseq_joins(data, tmp_path, monkeypatch):
    monkeypatch.setattr(binarise, "PART", 1100)
    out = tmp_path / "synthetic"
    assert main(["synthetic", "--out", str(out)]) == 0
    assert (out / "dict.en.txt").read_bytes() == (data / "dict.en.txt").read_bytes()
    parts = [len(MMapIndexedDataset(str(out / f"train{part}.en-de.de"))) for part in ("", "1")]
    assert parts == [1100, 900]
    manifests = [json.loads((folder / "manifest.json").read_text()) for folder in (data, out)]
    assert manifests[0] == manifests[1]


def test_further_test_sets_have_files_of_their_names(data, tmp_path, binarised_here):
    """Also where fairseq-preprocess has given a name to another set."""
    shutil.copytree(data / "text", tmp_path / "text")
    names = {"test2": 3, "test_2017": 4, "test1": 5}
    for name, n in names.items():
        for language in ("en", "de"):
            lines = (data / "text" / f"test.{language}").read_text().splitlines(keepends=True)
            (tmp_path / "text" / f"{name}.{language}").write_text("".join(lines[:n]))
    out = tmp_path / "out"
    assert main(["multi30k", "--source", str(tmp_path / "text"), "--vocab-size", "60", "--out", str(out)]) == 0
    counts = json.loads((out / "manifest.json").read_text())["counts"]
    assert list(counts) == ["train", "valid", "test", "test1", "test2", "test_2017"]
    assert {name: len(MMapIndexedDataset(str(out / f"{name}.en-de.de"))) for name in counts} == counts
    assert names.items() <= counts.items() and (out / "dict.de.txt").is_file()


def test_any_number_of_synthetic_pairs(tmp_path, binarised_here):
    out = tmp_path / "synthetic"
    assert main(["synthetic", "--out", str(out), "--pairs", "5000"]) == 0
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["counts"] == {"train": 5000, "valid": 200, "test": 211}  # no pair is removed as a duplicate


def test_the_same_text_gives_the_same_model_and_decodes_to_itself(tmp_path):
    lines = [side for pair in synthetic.pairs(300, seed=1) for side in pair]
    for name in ("a", "b"):
        subwords.train(lines, 100, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    processor = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "a"))
    assert processor.get_piece_size() == 100
    for line, pieces in zip(lines, subwords.encode(lines, tmp_path / "a"), strict=True):
        assert processor.decode(pieces.split()) == line


def test_more_pieces_than_the_text_has_are_refused(tmp_path):
    with pytest.raises(DataError, match="--vocab-size 5000 failed"):
        subwords.train([target for _, target in synthetic.pairs(50, seed=1)], 5000, tmp_path / "m")
    assert not (tmp_path / "m").exists()
