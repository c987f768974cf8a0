"""Text from a corpus to a data folder: the command, cleaning, and splits without leaks."""

import json
import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep import DataError, binarise, clean, corpora, text


@pytest.fixture(autouse=True)
def _only_the_manifest(monkeypatch):
    """No SentencePiece and no fairseq: a manifest with the description."""
    monkeypatch.delenv("MT_LS_DATA", raising=False)

    def build(folder, counts, description, whole=None):
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


WORDS = st.text("abC ", min_size=0, max_size=4)
PAIRS = st.lists(st.tuples(WORDS, WORDS), max_size=40)


def _clean(pairs, held_out=None):
    with tempfile.TemporaryDirectory() as folder:
        cleaning = clean.Cleaning(Path(folder), held_out)
        kept = list(cleaning.kept(pairs))
        assert not list(Path(folder).iterdir())
    return kept, cleaning.steps()


def test_each_filter_removes_its_pairs_and_counts_them():
    pairs = [
        ("Good  morning", "Guten Morgen"),
        ("Good morning", "Guten Morgen"),  # a duplicate after spaces are normalised
        ("", "leer"),
        ("leer", "  "),
        ("WLAN", "WLAN"),
        ("word " * 101, "Wort " * 101),
        ("yes", "ja " + "doch " * 8),
    ]
    kept, steps = _clean(pairs)
    assert kept == [("Good morning", "Guten Morgen")]
    removed = {step.filter: step.removed for step in steps}
    assert removed == {
        "read": 0,
        "empty": 2,
        "equal to its source": 1,
        "longer than 100 words": 1,
        "length ratio over 3": 1,
        "duplicate pair": 1,
    }
    assert [step.left for step in steps] == [7, 5, 4, 3, 2, 1]
    lines = clean.table(steps).splitlines()
    assert len(lines) == 7 and lines[2].split() == ["empty", "2", "5"]


@given(PAIRS, st.integers(0, 5))
def test_no_source_is_in_two_splits_and_order_does_not_matter(pairs, held_out):
    kept, _ = _clean(pairs)
    shuffled = random.Random(0).sample(kept, len(kept))
    splits = clean.split(kept, held_out, seed=3)
    assert clean.split(shuffled, held_out, seed=3) == splits
    assert sorted(pair for part in splits.values() for pair in part) == sorted(kept)
    sources = [{clean.source_key(pair) for pair in part} for part in splits.values()]
    assert len(set.union(*sources)) == sum(map(len, sources))


def test_another_seed_is_another_split():
    pairs = [(f"source {i}", f"Ziel {i}") for i in range(50)]
    first, second = (clean.split(pairs, 10, seed) for seed in (1, 2))
    assert [len(part) for part in first.values()] == [30, 10, 10]
    assert first["test"] != second["test"]


def test_given_splits_keep_their_test_set_and_train_loses_its_sources():
    splits = {
        "train": [("a dog", "ein Hund"), ("A  Dog", "ein anderer"), ("a cat", "eine Katze"), ("new", "neu")],
        "valid": [("a cat", "die Katze"), ("A dog", "Hund")],
        "test": [("a dog", "der Hund"), ("", "leer")],
        "test_2017": [("a horse", "ein Pferd"), ("a dog", "Hund")],
    }
    held_out, keys = clean.held_out({name: splits[name] for name in ("valid", "test", "test_2017")})
    train, steps = _clean([*splits["train"], ("A horse", "Pferd")], keys)
    assert (train, held_out["valid"]) == ([("new", "neu")], [("a cat", "die Katze")])
    assert (held_out["test"], held_out["test_2017"]) == ([("a dog", "der Hund")], splits["test_2017"])
    assert steps[-1] == ("source stands in valid or test", 4, 1)


def test_an_empty_split_is_named():
    with pytest.raises(DataError, match="split 'valid' has no sentence"):
        clean.check_not_empty({"train": 1, "valid": 0, "test": 1})
