"""Distances, edits and shifts against sacrebleu's own, cell by cell in Python."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics import lib_ter

from mt_ls.calibration.alignment import _best_shift, _with_positions
from mt_ls.calibration.edit_distance import edit_distances, edits, token_ids

words = st.lists(st.sampled_from("abcdefgh"), max_size=40)


@given(words, words)
def test_edits_are_those_of_sacrebleu(hypothesis, reference):
    assert edits(*token_ids(hypothesis, reference)) == lib_ter.BeamEditDistance(reference)(hypothesis)


@pytest.mark.parametrize(("n", "m"), [(90, 90), (120, 80), (70, 130), (2, 150), (150, 2), (1, 60), (60, 1)])
def test_sequences_longer_than_the_beam_too(n, m):
    rng = np.random.default_rng(n)
    for letters in ("ab", "abcdefghijklmnopqrstuvwxyz"):
        hypothesis, reference = (rng.choice(list(letters), size).tolist() for size in (n, m))
        if n > 60:
            hypothesis[10:60] = reference[-50:] if m >= 50 else hypothesis[10:60]  # equal, and far from the diagonal
        assert edits(*token_ids(hypothesis, reference)) == lib_ter.BeamEditDistance(reference)(hypothesis)


@given(words, st.randoms(use_true_random=False))
def test_distances_of_several_are_those_of_each(reference, random):
    hypotheses = [random.sample(reference, len(reference)) for _ in range(5)]
    ids = token_ids(reference, *hypotheses)
    distance = lib_ter.BeamEditDistance(reference)
    assert edit_distances(np.array(ids[1:]), ids[0]).tolist() == [distance(words)[0] for words in hypotheses]


@given(words.filter(bool), words.filter(bool), st.sampled_from([0, 990]))
def test_the_best_shift_is_that_of_sacrebleu(hypothesis, reference, checked):
    tokens = _with_positions(hypothesis)
    gain, shifted, n = lib_ter._shift(tokens, reference, lib_ter.BeamEditDistance(reference), checked)
    ours = _best_shift(tokens, reference, checked)
    assert (ours[0], ours[2]) == (gain, n)
    assert [token.position for token in ours[1]] == [token.position for token in shifted]
