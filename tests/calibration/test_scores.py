"""Scores from sums of sentence statistics are sacrebleu's scores of the corpus."""

import random

import pytest
import sacrebleu

from mt_ls.calibration.scores import Scorer


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
