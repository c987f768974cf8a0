"""Filters, and splits without a common source sentence."""

import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep import DataError, clean

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
    }
    valid, test, held_out = clean.held_out(splits["valid"], splits["test"])
    train, steps = _clean(splits["train"], held_out)
    assert (train, valid, test) == ([("new", "neu")], [("a cat", "die Katze")], [("a dog", "der Hund")])
    assert steps[-1] == ("source stands in valid or test", 3, 1)


def test_an_empty_split_is_named():
    with pytest.raises(DataError, match="split 'valid' has no sentence"):
        clean.check_not_empty({"train": 1, "valid": 0, "test": 1})
