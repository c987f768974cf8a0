"""Alignment against sacrebleu's TER and the rules of InfECE; scores from sums of sentence statistics."""

import random

import pytest
import sacrebleu
from sacrebleu.metrics import lib_ter

from mt_ls.calibration.alignment import align, align_ids
from mt_ls.calibration.scores import Scorer


def _flags(hypothesis, reference):
    """A sign a token, the end of sentence last: + a hit, - a miss, ? shifted."""
    flags = align(hypothesis.split(), reference.split())
    return "".join("?" if not kept else "+" if hit else "-" for hit, kept in zip(*flags, strict=True))


@pytest.mark.parametrize(
    ("hypothesis", "reference", "expected"),
    [
        ("a b c", "a b c", "++++"),
        ("a x c", "a b c", "+-++"),  # substitution
        ("a b b2 c", "a b c", "++-++"),  # insertion
        ("a c", "a b c", "+-+"),  # deletion: the token after the gap is a miss too
        ("a b", "a b c", "++-"),  # too short: the end of sentence is a miss
        ("a b c d", "a b c", "+++-+"),  # too long: the superfluous token is a miss, the end is a hit
        ("", "a b", "-"),
        ("a b", "", "--+"),
    ],
)
def test_rules_by_hand(hypothesis, reference, expected):
    assert _flags(hypothesis, reference) == expected


def test_a_shifted_block_is_left_out_and_only_that():
    assert _flags("c d a b x y z", "a b x y z c d") == "??++++++"


def test_without_shifts_misses_are_those_of_the_edit_distance():
    """Substitutions and insertions of the trace are misses, and so is an equal token after a deletion."""
    rng = random.Random(0)
    for _ in range(200):
        hypothesis, reference = ([rng.choice("abcdef") for _ in range(rng.randint(1, 9))] for _ in range(2))
        flags = align(hypothesis, reference)
        assert len(flags.hit) == len(flags.kept) == len(hypothesis) + 1
        if all(flags.kept):
            edits, _ = lib_ter.translation_edit_rate(hypothesis, reference)
            matches = sum(flags.hit[:-1])
            assert len(hypothesis) - matches <= 2 * edits  # each edit spoils itself and at most the next token
            assert matches <= len(hypothesis) and (edits > 0 or matches == len(hypothesis))


def test_equal_tokens_keep_their_positions():
    assert _flags("the the the", "the") in ("+--+", "-+-+", "--++")


EOS = 2


@pytest.mark.parametrize(
    ("hypothesis", "reference", "hit"),
    [
        ([7, 8, 9, EOS], [7, 8, 9], [True, True, True, True]),
        ([7, 5, 9, EOS], [7, 8, 9], [True, False, True, True]),
        ([7, 8, EOS], [7, 8, 9], [True, True, False]),
        ([7, 8], [7, 8], [True, True]),  # cut by a length limit: no flag for an EOS that was not generated
        ([7, 5], [7, 8], [True, False]),
        ([EOS], [], [True]),
        ([1, 11], [11], [False, True]),
    ],
)
def test_ids_are_aligned_like_tokens(hypothesis, reference, hit):
    assert align_ids(hypothesis, reference, EOS) == (hit, [True] * len(hypothesis))


def test_ids_in_a_shifted_block_are_left_out():
    hypothesis, reference = [3, 4, 5, 6, 7, 8, 9, EOS], [5, 6, 7, 8, 9, 3, 4]
    assert align_ids(hypothesis, reference, EOS).kept == [False, False, *[True] * 6]


def test_sums_over_sentences_are_the_corpus():
    rng = random.Random(0)
    words = ["Der", "Hund", "sieht", "die", "Katze", ".", "Ein", "Auto", "fährt", ",", "schnell", "!"]
    pairs = [[" ".join(rng.choices(words, k=rng.randint(3, 12))) for _ in range(2)] for _ in range(60)]
    texts, references = (list(side) for side in zip(*pairs, strict=True))
    scorer = Scorer()
    rows = [scorer.statistics(text, reference) for text, reference in pairs]
    scores = scorer.scores({name: sum(row[name] for row in rows) for name in rows[0]})
    metrics = {
        "bleu": sacrebleu.BLEU(),
        "bleu_uncased": sacrebleu.BLEU(lowercase=True),
        "chrf": sacrebleu.CHRF(),
        "ter": sacrebleu.TER(case_sensitive=True),
    }
    for name, metric in metrics.items():
        expected = metric.corpus_score(texts, [references])
        assert scores[name]["score"] == pytest.approx(expected.score, abs=1e-9), name
        assert scores[name]["signature"] == str(metric.get_signature())
    bleu = metrics["bleu"].corpus_score(texts, [references])
    assert scores["length_ratio"] == pytest.approx(bleu.sys_len / bleu.ref_len)


def test_bleu_without_a_common_word_is_zero():
    scorer = Scorer()
    assert scorer.scores(scorer.statistics("eins", "zwei drei"))["bleu"]["score"] == 0
