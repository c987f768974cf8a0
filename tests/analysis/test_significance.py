"""Quantities from sums of sentences, against the tools that compute them from data; how often intervals hold."""

import numpy as np
import pytest
import sacrebleu

from analysis import significance
from mt_ls.calibration.bins import Bins, grouped_bin_sums
from mt_ls.calibration.scores import Scorer

torch = pytest.importorskip("torch")


def test_bleu_of_resamples_is_sacrebleus():
    """Against sacrebleu.corpus_bleu on the resampled text itself, down to no match at all."""
    rng = np.random.default_rng(0)
    words = np.array(list("abcdefgh"))
    references = [" ".join(rng.choice(words, rng.integers(4, 12))) for _ in range(40)]
    texts = [" ".join(w if rng.random() < 0.8 else "x" for w in line.split()) for line in references]
    texts[:3] = ["", "z", "z z z z z"]
    statistics = np.stack([Scorer().statistics(*pair)["bleu"] for pair in zip(texts, references, strict=True)])
    weights = significance.resamples(40, 5)
    weights = np.vstack((weights, np.eye(40)[:6]))  # single sentences: smoothing and no match
    ours = significance.bleu(statistics, weights)
    ratios = significance.length_ratio(statistics, weights)
    for row, score, ratio in zip(weights, ours, ratios, strict=True):
        chosen = np.repeat(np.arange(40), row.astype(int))
        theirs = sacrebleu.corpus_bleu([texts[i] for i in chosen], [[references[i] for i in chosen]])
        assert score == pytest.approx(theirs.score, abs=1e-9)
        assert ratio == pytest.approx(theirs.sys_len / theirs.ref_len)


def test_calibration_of_resamples_is_that_of_the_tokens():
    rng = np.random.default_rng(1)
    sentence = np.repeat(np.arange(30), rng.integers(1, 9, 30))
    confidence = rng.random(len(sentence))
    hit = rng.random(len(sentence)) < confidence
    nll = rng.exponential(size=len(sentence))
    sums = grouped_bin_sums(torch.tensor(confidence), torch.tensor(hit), torch.tensor(sentence), 30).numpy()
    sentence_nll = np.bincount(sentence, nll)
    for row in significance.resamples(30, 4):
        chosen = np.concatenate([np.flatnonzero(sentence == i).repeat(int(row[i])) for i in range(30)])
        bins = Bins.of(confidence[chosen], hit[chosen])
        weights = row[None]
        assert significance.ece(sums, weights)[0] == pytest.approx(bins.ece())
        assert significance.overconfidence(sums, weights)[0] == pytest.approx(bins.mean_confidence - bins.accuracy)
        assert significance.nll(sentence_nll, sums, weights)[0] == pytest.approx(nll[chosen].mean())


@pytest.mark.parametrize("seeds_vary", [0.0, 0.03, 0.1, 0.3, 1.0])
def test_intervals_cover_the_truth_about_as_often_as_they_say(seeds_vary):
    """Means of made-up runs whose truth is 0: three seeds, 400 sentences that all of them share. 95 % intervals hold it
    in 92 % to 96 % of 2000 worlds: least often where the seeds vary more than the sentences, but not by much."""
    rng = np.random.default_rng(2)
    weights = significance.resamples(400, 1000) / 400
    held = 0
    for _ in range(2000):
        sentences = rng.normal(size=400)
        runs = sentences + seeds_vary * rng.normal(size=(3, 1)) + 0.1 * rng.normal(size=(3, 400))
        low, high = significance.estimate(runs @ weights.T).interval()
        held += low < 0 < high
    assert 0.915 < held / 2000 < 0.965


def test_one_seed_has_the_variance_of_its_sentences():
    vector = np.concatenate(([5.0], np.random.default_rng(3).normal(5, 2, 4000)))
    found = significance.estimate(vector[None])
    assert found.value == 5.0 and found.n_seeds == 1
    assert found.error == pytest.approx(2, rel=0.05)
    low, high = found.interval()
    assert (high - low) / 2 == pytest.approx(1.96 * found.error, rel=1e-3)
