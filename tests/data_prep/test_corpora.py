"""Parallel text from every kind of source, one line for each bad input, and the grammar with its probabilities."""

import collections
import hashlib
import itertools
import json
import os
import sys
import zipfile

import datasets
import pytest
from conftest import run

from data_prep import DataError, corpora, sources, synthetic
from data_prep.__main__ import main

WHEEL = "homeassistant-2024.3.3-py3-none-any.whl"


def _write_plain(folder, n=40):
    folder.mkdir()
    for split, first in {"train": 0, "valid": 1000, "test": 2000}.items():
        for language, word in {"en": "the number", "de": "die Zahl"}.items():
            text = "".join(f"{word} {i} zählt {i * i}\n" for i in range(first, first + n))
            (folder / f"{split}.{language}").write_text(text, encoding="utf-8")


def _write_wheel(path, strings):
    with zipfile.ZipFile(path, "w") as archive:
        for language, side in {"en": 0, "de": 1}.items():
            tree = {"state": {key: pair[side] for key, pair in strings.items()}}
            archive.writestr(f"homeassistant/components/lamp/translations/{language}.json", json.dumps(tree))
        archive.writestr("homeassistant/components/only_english/translations/en.json", '{"x": "y"}')


@pytest.fixture(autouse=True)
def _no_folder_of_the_user(monkeypatch, tmp_path):
    monkeypatch.delenv("MT_LS_DATA", raising=False)
    monkeypatch.setenv("MT_LS_CACHE", str(tmp_path / "cache"))


def _load(name, source):
    splits, inputs = corpora.read(corpora.CORPORA[name], source, seed=1)
    return {split: list(pairs) for split, pairs in splits.items()}, inputs


def test_a_folder_of_text(tmp_path):
    _write_plain(tmp_path / "text")
    splits, inputs = _load("multi30k", str(tmp_path / "text"))
    assert {name: len(pairs) for name, pairs in splits.items()} == {"train": 40, "valid": 40, "test": 40}
    assert splits["valid"][1] == ("the number 1001 zählt 1002001", "die Zahl 1001 zählt 1002001")
    train = (tmp_path / "text" / "train.en").read_bytes()
    assert inputs["train.en"] == hashlib.sha256(train).hexdigest() and "test.de" in inputs


def test_a_folder_of_text_may_have_further_test_sets(tmp_path, capsys):
    _write_plain(tmp_path / "text")
    for name in ("test_2017_flickr", "test2018", "train2", "test.lc.tok"):
        for language in ("en", "de"):
            (tmp_path / "text" / f"{name}.{language}").write_text(f"{name} {language}\n")
    splits, inputs = _load("multi30k", str(tmp_path / "text"))
    assert list(splits) == ["train", "valid", "test", "test2018", "test_2017_flickr"]
    assert splits["test2018"] == [("test2018 en", "test2018 de")] and "train2.en" not in inputs
    notes = capsys.readouterr().err.splitlines()
    assert [note.rpartition("/")[2] for note in notes] == [
        f"{name} is not read: no name of a test set" for name in ("test.lc.tok", "train2")
    ]


def test_a_folder_in_the_hubs_schema_is_read_by_datasets(tmp_path, monkeypatch):
    folder = tmp_path / "data" / "multi30k"
    folder.mkdir(parents=True)
    for split in ("train", "validation", "test"):
        rows = [{"en": f"{split} {i}", "de": f"{split} zu {i}"} for i in range(3)]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setenv("MT_LS_DATA", str(tmp_path / "data"))
    splits, _ = _load("multi30k", sources.local_copy("multi30k"))
    assert splits["valid"] == [(f"validation {i}", f"validation zu {i}") for i in range(3)]


def test_a_wheel_is_paired_by_key(tmp_path):
    wheel = tmp_path / "other.whl"
    _write_wheel(wheel, {"on": ("On", "An"), "off": ("Turned  off", "Aus"), "again": ("On", "An")})
    splits, inputs = _load("home_assistant", str(wheel))
    assert splits == {"all": [("On", "An"), ("Turned off", "Aus")]}
    assert inputs["other.whl"] == hashlib.sha256(wheel.read_bytes()).hexdigest()


def test_one_column_with_both_languages(tmp_path):
    """The hub's schema of IWSLT14 and WMT14, in parquet."""
    for split in ("train", "validation", "test"):
        rows = [{"translation": {"de": f"{split} zu {i}", "en": f"{split} {i}"}} for i in range(3)]
        datasets.Dataset.from_list(rows).to_parquet(tmp_path / "hub" / f"{split}.parquet")
    splits, _ = _load("wmt14", str(tmp_path / "hub"))
    assert splits["train"] == [(f"train {i}", f"train zu {i}") for i in range(3)]


def test_the_hash_is_that_of_the_text_as_lines():
    expected = hashlib.sha256(b"train\na\tb\nc\td\ntest\n").hexdigest()
    text = corpora.TextHash()
    assert list(text.passing("train", iter([("a", "b"), ("c", "d")]))) == [("a", "b"), ("c", "d")]
    text.add("test", [])
    assert text.hexdigest() == expected


def test_only_the_hubs_text_is_compared_with_its_pinned_hash():
    multi30k = corpora.CORPORA["multi30k"]
    assert corpora.is_published(multi30k, None, multi30k.sha256)
    assert not corpora.is_published(multi30k, None, "0" * 64)
    assert corpora.is_published(multi30k, "a/folder", "0" * 64)
    assert corpora.is_published(corpora.CORPORA["wmt14"], None, "0" * 64)


def _unequal(folder):
    _write_plain(folder)
    (folder / "valid.de").write_text("nur eine\n")
    return "valid.de:1: the file ends here, but valid.en has 40 lines and valid.de 1"


def _not_utf8(folder):
    _write_plain(folder)
    (folder / "train.de").write_bytes(b"gut\nM\xfcnchen\n")
    return "train.de:2: byte 2 is not UTF-8"


def _empty_file(folder):
    _write_plain(folder)
    (folder / "test.en").write_bytes(b"")
    return "test.en: empty"


def _missing_language(folder):
    _write_plain(folder)
    (folder / "train.de").unlink()
    return "train.de: missing"


def _missing_column(folder):
    folder.mkdir()
    for split in ("train", "validation", "test"):
        (folder / f"{split}.jsonl").write_text('{"en": "a", "de": "b"}\n{"en": "a", "fr": "c"}\n')
    return 'test.jsonl:2: no "de" text'


def _further_json(folder):
    folder.mkdir()
    for split in ("train", "validation", "test", "test_2017_flickr"):
        (folder / f"{split}.jsonl").write_text('{"en": "a", "de": "b"}\n')
    return "further test sets are plain text, beside train.en and train.de: test_2017_flickr.en"


def _broken_json(folder):
    folder.mkdir()
    (folder / "train.jsonl").write_text('{"en": "a", "de": "b"}\n{"en": "a", \n')
    return "train.jsonl:2: not JSON"


def _no_validation(folder):
    folder.mkdir()
    for split in ("train", "test"):
        (folder / f"{split}.jsonl").write_text('{"en": "a", "de": "b"}\n')
    return "has no split 'validation'"


def _nothing_left(folder):
    _write_plain(folder)
    for language in ("en", "de"):
        (folder / f"train.{language}").write_text("gleich\n" * 5)
    return "split 'train' has no sentence after cleaning"


def _no_files(folder):
    folder.mkdir()
    return "has neither train.en and train.de nor jsonl or parquet files"


def _truncated_wheel(folder):
    folder.mkdir()
    _write_wheel(folder / "whole.whl", {"on": ("On", "An")})
    (folder / WHEEL).write_bytes((folder / "whole.whl").read_bytes()[:-30])
    return "sha256 is"


def _too_little_text(folder):
    _write_plain(folder, n=2)
    return "SentencePiece with --vocab-size 8000 failed"


BAD_INPUT = (
    _unequal,
    _not_utf8,
    _empty_file,
    _missing_language,
    _missing_column,
    _further_json,
    _broken_json,
    _no_validation,
    _nothing_left,
    _no_files,
    _truncated_wheel,
    _too_little_text,
)


@pytest.mark.parametrize("make", BAD_INPUT)
def test_bad_input_is_one_line_and_leaves_no_folder(make, tmp_path, capfd):
    expected = make(tmp_path / "in")
    status = main(["multi30k", "--source", str(tmp_path / "in"), "--out", str(tmp_path / "out" / "x")])
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("data_prep: error: ")]
    assert status == 2 and len(lines) == 1 and expected in lines[0]
    assert [path.suffix for path in (tmp_path / "out").iterdir()] == [".lock"]


def test_a_cut_wheel_without_a_pinned_name_is_no_wheel(tmp_path):
    _write_wheel(tmp_path / "x.whl", {"on": ("On", "An")})
    (tmp_path / "x.whl").write_bytes((tmp_path / "x.whl").read_bytes()[:-30])
    with pytest.raises(DataError, match=r"x\.whl: not a readable wheel"):
        _load("home_assistant", str(tmp_path / "x.whl"))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["multi30k", "--source", "no/such-corpus"], "no/such-corpus: cannot be loaded"),
        (["multi30k", "--source", "./nowhere"], "./nowhere: no such folder"),
        (["home_assistant"], "homeassistant==2024.3.3: download failed"),
    ],
)
def test_a_source_that_cannot_be_reached_is_one_line(arguments, expected, tmp_path):
    offline = {"HF_HUB_OFFLINE": "1", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "MT_LS_CACHE": str(tmp_path / "cache")}
    process = run(
        [sys.executable, "-m", "data_prep", *arguments, "--out", str(tmp_path / "out")], env={**os.environ, **offline}
    )
    errors = [line for line in process.stderr.splitlines() if "error" in line.lower()]
    assert process.returncode == 2 and len(errors) == 1 and expected in errors[0], process.stderr
    assert not (tmp_path / "out").exists() and not list((tmp_path / "cache" / "wheels").glob("*"))


def test_words_are_drawn_with_the_stated_probabilities():
    draws = collections.Counter()
    for source, target in synthetic.pairs(4800, seed=5):
        slots = synthetic.slots(source)
        words = target.split()
        assert len(slots) == len(words) + 1 and slots[-1] == {synthetic.END: 1.0}
        for slot, word in zip(slots, words, strict=False):
            assert sum(slot.values()) == pytest.approx(1) and word in slot
        if " dog has " in source:
            draws[words[2]] += 1
    n = sum(draws.values())  # binomial: 600 draws of p = 0.8 have a standard deviation of 0.016
    assert n == 600 and draws["Hund"] / n == pytest.approx(0.8, abs=4 * 0.0164)


def test_sources_are_distinct_over_the_splits():
    splits = synthetic.splits(seed=1)
    sources = [source for pairs in splits.values() for source, _ in pairs]
    assert len(set(sources)) == len(sources) == 2411 and len(splits["test"]) == 211
    assert synthetic.splits(seed=1) == splits != synthetic.splits(seed=2)


def test_the_next_word_has_the_distribution_of_its_slot():
    source = "the small dog has seen the cat today"
    assert synthetic.next_word_probabilities(source, ["der", "kleine"]) == {"Hund": 0.8, "Vierbeiner": 0.2}
    with pytest.raises(ValueError, match="impossible prefix 'die'"):
        synthetic.next_word_probabilities(source, ["die"])
    with pytest.raises(ValueError, match="not a sentence of the grammar"):
        synthetic.slots("a sentence of another grammar")


def test_joined_sentences_are_distinct_and_drawn_from_their_slots():
    drawn = list(itertools.islice(synthetic.joined_pairs(seed=3), 20_000))
    assert len({source for source, _ in drawn}) == 20_000
    draws = collections.Counter()
    for source, target in drawn:
        slots, words = synthetic.slots(source), target.split()
        assert len(slots) == len(words) + 1 == 18 and words[8] == "und"
        assert all(word in slot for slot, word in zip(slots, words, strict=False))
        if source.startswith("the small dog"):
            draws[words[2]] += 1
    n = sum(draws.values())
    assert n > 300 and abs(draws["Hund"] / n - 0.8) < 4 * (0.8 * 0.2 / n) ** 0.5


def test_more_pairs_than_the_grammar_has_are_refused():
    for n in (0, 23_040_000):
        with pytest.raises(DataError, match=f"--pairs {n}: the grammar has 1 to 23039589"):
            synthetic.splits(1, n)
