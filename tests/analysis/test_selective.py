"""Selection on made-up records: shares and areas by hand, and verdicts on studies whose truth is known."""

import numpy as np
import pytest
import sacrebleu
from builders import item_bins, record, row, study, write

from analysis.advice import _selection
from analysis.claims import verdicts
from analysis.figures import selective as figure
from analysis.quantities import sentence_bleu
from analysis.rows import load
from analysis.selective import BY_BLEU, OF_CONFIDENCE, OF_SENTENCES, curve, kept_at, normalised, thresholds
from analysis.study import Study
from analysis.tables import selective as table
from mt_ls.calibration.bins import Bins
from mt_ls.calibration.scores import Scorer
from mt_ls.calibration.selective import SCORES, TOKEN_SCORES, normalised_aurc

N = 400


def searched(folder, noise, mended, seeds=(1, 2, 3)):
    """Runs of alpha 0 and 0.1 whose log-probability orders the sentences with ``noise[alpha]``, and whose
    MaxLogit-4Norm does with ``mended``."""
    rng = np.random.default_rng(1)
    for alpha, own in noise.items():
        for seed in seeds:
            run = folder / f"a{alpha}_s{seed}"
            for split in ("valid", "test"):
                chrf = rng.uniform(20, 90, N)
                scores = rng.normal(0, 500, (N, len(SCORES)))
                scores[:, 0] = chrf + rng.normal(0, own, N)
                scores[:, 4] = chrf + rng.normal(0, mended, N)
                confidence = rng.uniform(0.1, 0.99, N)
                hit = rng.random(N) < confidence
                bins = item_bins(confidence, hit, np.arange(N), N)
                sums = bins.sum(0)
                changes = {
                    "seed": seed, "split": split, "mode": "beam", "beam": 5, "lenpen": 1.0, "n_sentences": N,
                    "n_sentences_in_set": N, "fitted_temperature": 1.3, "fitted_on": "valid",
                }  # fmt: skip
                areas = dict.fromkeys(TOKEN_SCORES, 0.5 + alpha + 0.001 * (seed - 2)) | {"MaxLogit-4Norm": 0.3}
                changes |= {"chrf": {"score": float(chrf.mean())}, "token_naurc": areas}
                made = record(alpha, bins=Bins.from_sums(sums), **changes)
                write(run, made, bins=bins, scores=scores, chrf=chrf)
    return Study(load([folder]))


def test_what_is_kept_at_a_threshold():
    bins = Bins.of([0.05, 0.5, 0.5, 0.97, 0.98, 0.99], [0, 1, 0, 1, 1, 1])
    first = thresholds(bins)[0]
    assert (first.threshold, first.share, first.accuracy) == (pytest.approx(14 / 15), 0.5, 1.0)
    assert kept_at(bins, 0.8).share == pytest.approx(5 / 6) and kept_at(bins, 0.8).accuracy == 0.8
    assert kept_at(bins, 0.9).threshold == pytest.approx(8 / 15)
    assert kept_at(Bins.of([0.9], [0])) is None


def test_the_area_is_that_of_the_items_and_its_resamples_vary(tmp_path):
    rows = searched(tmp_path, {0.0: 5, 0.1: 50}, 5, seeds=(1,)).rows
    for one in rows:
        vector = OF_SENTENCES[0].resampled(one, 50)
        expected = normalised_aurc(one.items.scores[:, 0], 1 - one.items.chrf / 100)[0]
        assert vector[0] == pytest.approx(expected) and OF_SENTENCES[0].value(one) == pytest.approx(expected)
        assert vector.shape == (51,) and vector.std() > 0
        coverage, risk = curve(one)
        assert coverage[-1] == 1 and risk[-1] == pytest.approx(1 - one.items.chrf.mean() / 100)
    assert list(normalised(OF_SENTENCES)) == [2, 4, 6, 8]
    assert OF_CONFIDENCE.value(rows[0]) is not None  # confidences of items alone


def test_smoothing_that_harms_and_a_norm_that_mends_are_found(tmp_path):
    found = {v.label: v for v in verdicts(searched(tmp_path, {0.0: 5, 0.1: 60}, 5), 200) if v.claim.number == 28}
    assert [found[f"28{letter}"].word for letter in "abc"] == ["reproduced"] * 3
    assert found["28b"].why == "p = 4" and found["28a"].estimate.value > 0.1
    assert [found[f"28{letter}"].word for letter in "def"] == ["reproduced"] * 3 and found["28e"].why == "p = 4"
    assert found["28d"].estimate.value == pytest.approx(0.1, abs=0.01)
    assert found["28e"].estimate.value == pytest.approx(0.3, abs=0.01)


def test_a_norm_that_does_not_mend_is_found(tmp_path):
    found = {v.label: v for v in verdicts(searched(tmp_path, {0.0: 60, 0.1: 5}, 80), 200) if v.claim.number == 28}
    assert [found[f"28{letter}"].word for letter in "ab"] == ["not reproduced"] * 2


def test_without_scores_the_claims_are_not_measured_and_the_table_has_no_line():
    of = study(*(row_of(alpha, seed) for alpha in (0.0, 0.1) for seed in (1, 2)))
    assert {v.word for v in verdicts(of, 20) if v.claim.number == 28} == {"not measured"}
    assert not table.table(of).cells and not table.of_tokens(of).cells and figure.figure(of) is None


def row_of(alpha, seed):
    return row(alpha, seed=seed, mode="beam", beam=5, fitted_on="valid", fitted_temperature=1.2)


def test_the_table_the_figure_and_the_advice_name_what_is_kept(tmp_path):
    of = searched(tmp_path, {0.0: 5, 0.1: 60}, 5)
    made, of_tokens = table.table(of), table.of_tokens(of)
    hard, smoothed = (dict(zip(made.header, line, strict=True)) for line in made.cells)
    assert hard["p"] == "4" and float(hard["log-probability"]) < float(smoothed["log-probability"])
    assert hard["risk by BLEU"] == ""  # without what sacrebleu counts
    hard, _ = (dict(zip(of_tokens.header, line, strict=True)) for line in of_tokens.cells)
    assert hard["kept"].endswith(" %") and 0 < float(hard["threshold"]) < 1
    assert (hard["probability"], hard["MaxLogit"], hard["p"]) == ("0.500", "0.300", "4")
    drawn = figure.figure(of)
    assert [len(axis.lines) for axis in drawn.axes] == [2, 2]
    assert all(line.get_ydata()[-1] >= line.get_ydata()[0] for line in drawn.axes[0].lines)
    words = _selection([row for row in of.rows if row.record.split == "test"][:1])
    assert "The surer half of the sentences has chrF" in words and "% right" in words.replace("\u00a0", " ").replace(
        " %", "%"
    )


def test_the_risk_by_bleu_is_that_of_sacrebleu_for_each_sentence(tmp_path):
    rng = np.random.default_rng(2)
    words = ["der", "Hund", "sieht", "die", "Katze", "nicht", "rot", "."]
    references = [" ".join(rng.choice(words, rng.integers(1, 9))) for _ in range(60)]
    hypotheses = [" ".join(rng.choice(words, rng.integers(0, 9))) for _ in range(40)] + references[40:]
    counts = [Scorer().statistics(*pair)["bleu"] for pair in zip(hypotheses, references, strict=True)]
    pairs = zip(hypotheses, references, strict=True)
    expected = [sacrebleu.sentence_bleu(hypothesis, [reference]).score for hypothesis, reference in pairs]
    np.testing.assert_allclose(sentence_bleu(np.array(counts)), expected, atol=1e-9)
    scores = rng.normal(size=(60, len(SCORES)))
    one = record(0.1, mode="beam", beam=5, n_sentences=60, n_sentences_in_set=60)
    write(tmp_path, one, bins=np.ones((60, 3, 15)), scores=scores, bleu=np.array(counts))
    (row,) = load([tmp_path])
    area = normalised_aurc(scores[:, 0].astype("f4"), 1 - np.array(expected) / 100)[0]
    assert BY_BLEU.value(row) == pytest.approx(area, abs=1e-6)
