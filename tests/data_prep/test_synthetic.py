"""The grammar: its sentences are drawn with the probabilities that it states."""

import collections
import itertools

import pytest

from data_prep import DataError, synthetic


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
