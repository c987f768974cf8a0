"""Alignment against sacrebleu's TER and cases worked by hand from InfECE's rules."""

import random

import pytest
from sacrebleu.metrics import lib_ter

from mt_ls.calibration.alignment import align


def _flags(hypothesis, reference):
    found = align(hypothesis.split(), reference.split())
    return "".join("?" if not kept else "+" if hit else "-" for hit, kept in zip(found.hit, found.kept, strict=True))


@pytest.mark.parametrize(
    ("hypothesis", "reference", "expected"),
    [
        ("a b c", "a b c", "++++"),
        ("a x c", "a b c", "+-++"),  # substitution
        ("a b b2 c", "a b c", "++-++"),  # insertion
        ("a c", "a b c", "+-+"),  # deletion: the token after the gap is wrong too
        ("a b", "a b c", "++-"),  # stopped too early: the end of sentence is wrong
        ("a b c d", "a b c", "+++-+"),  # too long: the extra token is wrong, the end is right
        ("", "a b", "-"),
        ("a b", "", "--+"),
    ],
)
def test_rules_by_hand(hypothesis, reference, expected):
    assert _flags(hypothesis, reference) == expected


def test_a_shifted_block_is_left_out_and_only_that():
    found = _flags("c d a b x y z", "a b x y z c d")
    assert found == "??++++++"


def test_without_shifts_wrong_tokens_are_those_of_the_edit_distance():
    """Substitutions and insertions of the trace are wrong; a correct token after a deletion is wrong too."""
    rng = random.Random(0)
    for _ in range(200):
        hypothesis, reference = ([rng.choice("abcdef") for _ in range(rng.randint(1, 9))] for _ in range(2))
        found = align(hypothesis, reference)
        assert len(found.hit) == len(found.kept) == len(hypothesis) + 1
        if all(found.kept):
            edits, _ = lib_ter.translation_edit_rate(hypothesis, reference)
            matches = sum(found.hit[:-1])
            assert len(hypothesis) - matches <= 2 * edits  # each edit spoils itself and at most the next token
            assert matches <= len(hypothesis) and (edits > 0 or matches == len(hypothesis))


def test_positions_survive_equal_tokens():
    assert _flags("the the the", "the") in ("+--+", "-+-+", "--++")
