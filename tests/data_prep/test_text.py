"""The preparation of a corpus: its splits, its description, and when it is written again."""

import json

import pytest

from data_prep import binarise, corpora, text


@pytest.fixture(autouse=True)
def _only_the_manifest(monkeypatch):
    """No SentencePiece and no fairseq: a manifest with the description."""
    monkeypatch.delenv("MT_LS_DATA", raising=False)

    def build(folder, counts, description):
        manifest = {**description, "counts": counts, "hash": "d" * 64}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return manifest

    monkeypatch.setattr(binarise, "build", build)


def _write(folder, **splits):
    folder.mkdir(exist_ok=True)
    for split, pairs in splits.items():
        for i, language in enumerate(("en", "de")):
            (folder / f"{split}.{language}").write_text("".join(f"{pair[i]}\n" for pair in pairs))
    return str(folder)


def _prepare(name, out, source, **options):
    text.prepare(corpora.CORPORA[name], out, **{"source": source, "seed": 1, "vocab_size": 50, **options})
    return json.loads((out / "manifest.json").read_text())


GIVEN = {
    "train": [("a dog", "ein Hund"), ("a cat", "eine Katze"), ("new", "neu"), ("new", "neu")],
    "valid": [("a cat", "die Katze")],
    "test": [("A dog", "der Hund")],
}


def test_given_splits_stay_and_train_loses_their_sources(tmp_path):
    manifest = _prepare("multi30k", tmp_path / "out", _write(tmp_path / "in", **GIVEN))
    assert manifest["counts"] == {"train": 1, "valid": 1, "test": 1}
    assert (tmp_path / "out" / "text" / "train.de").read_text() == "neu\n"
    removed = {step["filter"]: step["removed"] for step in manifest["cleaning"] if step["removed"]}
    assert removed == {"duplicate pair": 1, "source stands in valid or test": 2}


def test_a_corpus_without_splits_is_divided(tmp_path, monkeypatch):
    pairs = [(f"source {i}", f"Ziel {i}") for i in range(1300)]
    monkeypatch.setattr(corpora, "read", lambda *arguments: ({"all": pairs}, {"x.whl": "0"}))
    manifest = _prepare("home_assistant", tmp_path / "out", None)
    assert manifest["counts"] == {"train": 100, "valid": 600, "test": 600}
    assert manifest["inputs"].keys() == {"x.whl", "text"} and manifest["revision"] == "2024.3.3"
    assert manifest["source"] == "homeassistant (package index)"


def test_the_description_has_the_settings_and_the_hash_of_the_raw_text(tmp_path):
    manifest = _prepare("multi30k", tmp_path / "out", _write(tmp_path / "in", **GIVEN), vocab_size=70, seed=3)
    assert manifest["settings"] == {"vocab_size": 70, "model_type": "unigram", "seed": 3, "max_words": 100}
    digest = corpora.TextHash()
    for split in ("train", "valid", "test"):
        digest.add(split, GIVEN[split])
    assert manifest["inputs"]["text"] == digest.hexdigest() and "train.en" in manifest["inputs"]
    assert (manifest["corpus"], manifest["source"]) == ("multi30k", "in")


def test_only_other_text_or_settings_are_written_again(tmp_path, capsys):
    out, source = tmp_path / "out", _write(tmp_path / "in", **GIVEN)
    _prepare("multi30k", out, source)
    first = (out / "manifest.json").stat().st_mtime_ns
    _prepare("multi30k", out, source)
    assert (out / "manifest.json").stat().st_mtime_ns == first
    assert f"{out} is up to date" in capsys.readouterr().err
    _prepare("multi30k", out, source, vocab_size=60)
    second = (out / "manifest.json").stat().st_mtime_ns
    _write(tmp_path / "in", test=[("A horse", "ein Pferd")])
    _prepare("multi30k", out, source, vocab_size=60)
    assert first < second < (out / "manifest.json").stat().st_mtime_ns


def test_the_hubs_text_is_compared_with_the_published_one(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(corpora, "read", lambda *arguments: (dict(GIVEN), {}))
    _prepare("multi30k", tmp_path / "out", None)
    assert "the hub's multi30k differs from the text of the published records" in capsys.readouterr().err
    _prepare("multi30k", tmp_path / "other", _write(tmp_path / "in", **GIVEN))
    assert "differs" not in capsys.readouterr().err
