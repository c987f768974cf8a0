"""Quantities against the tools that compute them from data, and how often intervals hold."""

import numpy as np
import pytest
import sacrebleu
from builders import item_bins, record, row, write
from scipy import stats

from analysis import coverage, significance
from analysis.quantities import (
    ACCURACY,
    BLEU,
    ECE,
    ECE_OF_ALL_CLASSES,
    ECE_WITHOUT_EOS,
    LENGTH_RATIO,
    NLL,
    OVER,
    OVERCONFIDENCE,
    QUANTITIES,
    SMOOTH_ECE,
    UNDER,
    number,
)
from analysis.rows import Row
from analysis.significance import resamples
from mt_ls.calibration.bins import Bins
from mt_ls.calibration.scores import Scorer


def test_bleu_of_resamples_is_sacrebleus():
    """Against sacrebleu.corpus_bleu on the resampled text itself, down to no match at all."""
    rng = np.random.default_rng(0)
    words = np.array(list("abcdefgh"))
    references = [" ".join(rng.choice(words, rng.integers(4, 12))) for _ in range(40)]
    texts = [" ".join(w if rng.random() < 0.8 else "x" for w in line.split()) for line in references]
    texts[:3] = ["", "z", "z z z z z"]
    statistics = np.stack([Scorer().statistics(*pair)["bleu"] for pair in zip(texts, references, strict=True)])
    weights = np.vstack((resamples(40, 5), np.eye(40)[:6]))  # single sentences: smoothing and no match
    scores, ratios = BLEU.of_items(statistics, weights), LENGTH_RATIO.of_items(statistics, weights)
    for weight, score, ratio in zip(weights, scores, ratios, strict=True):
        chosen = np.repeat(np.arange(40), weight.astype(int))
        expected = sacrebleu.corpus_bleu([texts[i] for i in chosen], [[references[i] for i in chosen]])
        assert score == pytest.approx(expected.score, abs=1e-9)
        assert ratio == pytest.approx(expected.sys_len / expected.ref_len)


def test_calibration_of_resamples_is_that_of_the_predictions():
    rng = np.random.default_rng(1)
    item = np.repeat(np.arange(30), rng.integers(1, 9, 30))
    confidence = rng.random(len(item))
    hit = rng.random(len(item)) < confidence
    nll = rng.exponential(size=len(item))
    bins, n = item_bins(confidence, hit, item, 30), np.bincount(item)
    for weights in resamples(30, 4):
        chosen = np.concatenate([np.flatnonzero(item == i).repeat(int(weights[i])) for i in range(30)])
        expected, weights = Bins.of(confidence[chosen], hit[chosen]), weights[None]
        assert np.abs(ECE.of_items(bins, weights)).sum() == pytest.approx(expected.ece())
        assert OVER.of_items(bins, weights)[0] == pytest.approx(expected.over())
        assert UNDER.of_items(bins, weights)[0] == pytest.approx(expected.under())
        assert ACCURACY.of_items(bins, weights)[0] == pytest.approx(expected.accuracy)
        gap = expected.mean_confidence - expected.accuracy
        assert OVERCONFIDENCE.of_items(bins, weights)[0] == pytest.approx(gap)
        assert NLL.of_items(np.bincount(item, nll), n, weights)[0] == pytest.approx(nll[chosen].mean())


def test_the_interval_of_a_run_is_that_of_a_plain_bootstrap(tmp_path):
    rng = np.random.default_rng(1)
    confidence, item = rng.beta(3, 1, 4000), np.repeat(np.arange(400), 10)
    hit = rng.random(4000) < confidence**2
    of = write(tmp_path, record(bins=Bins.of(confidence, hit)), bins=item_bins(confidence, hit, item, 400))
    low, high = OVERCONFIDENCE.interval([of])
    plain = []
    for _ in range(300):
        index = (rng.integers(400, size=400)[:, None] * 10 + np.arange(10)).reshape(-1)
        plain.append(float(np.mean(confidence[index] - hit[index])))
    np.testing.assert_allclose((low, high), np.quantile(plain, [0.025, 0.975]), atol=0.004)
    assert low < OVERCONFIDENCE.of_record(of.record) < high


def test_the_interval_of_a_mean_counts_items_and_seeds(tmp_path):
    rng = np.random.default_rng(2)
    rows = []
    for seed, accuracy in enumerate((0.5, 0.6, 0.7)):  # a confidence of 0.9 everywhere: ECE 0.4, 0.3, 0.2
        bins = np.zeros((400, 3, 15))
        bins[:, 0, 13], bins[:, 1, 13], bins[:, 2, 13] = 10, 9, rng.binomial(10, accuracy, size=400)
        rows.append(write(tmp_path, record(seed=seed, bins=Bins.from_sums(bins.sum(0))), bins=bins))
    ece = [of.record.bins.ece() for of in rows]
    low, high = ECE.interval(rows)
    assert (low + high) / 2 == pytest.approx(np.mean(ece), rel=1e-3)
    of_seeds = 4.303 * np.std(ece, ddof=1) / 3**0.5  # Student's t, 2 degrees of freedom
    assert (high - low) / 2 == pytest.approx(of_seeds, rel=0.02)  # sentences add little here
    assert ECE.interval([]) is None
    assert ECE.interval([*rows, Row(record(seed=9), tmp_path)]) is None


@pytest.mark.parametrize("shape", coverage.SHAPES)
@pytest.mark.parametrize("ece", [0.0, 0.02])
def test_the_interval_of_an_ece_covers_the_truth(shape, ece):
    """The percentile interval misses a small ECE nearly always."""
    line = coverage.of_ece(shape, ece, repetitions=60, draws=300)
    percentile, ours = float(line[3]), float(line[5])
    assert ours >= 0.88 and percentile < 0.8


def test_the_interval_of_an_ece_far_above_its_noise_is_the_bootstraps(tmp_path):
    """Two bins with gaps of 0.3 and -0.2, each many standard errors."""
    rng = np.random.default_rng(4)
    bins = np.zeros((500, 3, 15))
    bins[:, 0, 10], bins[:, 1, 10], bins[:, 2, 10] = 10, 7, rng.binomial(10, 0.4, 500)
    bins[:, 0, 4], bins[:, 1, 4], bins[:, 2, 4] = 10, 3, rng.binomial(10, 0.5, 500)
    of = write(tmp_path, record(bins=Bins.from_sums(bins.sum(0))), bins=bins)
    expected = significance.percentile_interval(ECE.resampled(of))
    np.testing.assert_allclose(ECE.interval([of]), expected, atol=0.001)
    assert ECE.resampled(of)[0] == pytest.approx(of.record.bins.ece(), abs=0.001)


def test_the_bias_of_a_calibrated_models_ece_is_reduced():
    model, rng = coverage.Model("over-confident everywhere", 0.0), np.random.default_rng(5)
    gaps = [model.resampled_gaps(rng, 300) for _ in range(40)]
    found = np.mean([np.abs(of[0]).sum() for of in gaps])
    corrected = np.mean([significance.absolute_sums(of)[0] for of in gaps])
    assert corrected < 0.75 * found


def test_the_items_that_seeds_share_count_once():
    """Seeds that differ by their errors on the items alone: the interaction is part of the seeds' variance only."""
    rng = np.random.default_rng(6)
    weights = significance.resamples(400, 4000) / 400
    shared, own = rng.normal(size=400), rng.normal(size=(30, 400))
    estimate = significance.estimate((shared + own) @ weights.T)
    assert estimate.shared == pytest.approx(1 / 400, rel=0.2)
    assert estimate.of_each_seed == pytest.approx(1 / 400, rel=0.3)
    alone = significance.estimate(own @ weights.T)
    assert alone.shared == pytest.approx(0.0, abs=3e-5)


def test_seeds_alone_give_students_t():
    """Without resamples that vary, the p-value is that of scipy's t test, and the tests of equivalence are its, too."""
    values = np.array([0.8, 1.1, 0.4, 0.9])
    estimate = significance.estimate(np.repeat(values[:, None], 5, axis=1))
    assert estimate.p_value() == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    sides = (stats.ttest_1samp(values, -1.5, alternative="greater"), stats.ttest_1samp(values, 1.5, alternative="less"))
    assert estimate.p_equivalent(1.5) == pytest.approx(max(side.pvalue for side in sides))
    assert estimate.sign_test() == pytest.approx(2 * 0.5**4)
    low, high = estimate.interval()
    assert (low, high) == pytest.approx(stats.ttest_1samp(values, 0).confidence_interval())


def test_a_difference_of_the_resolution_is_found_four_times_of_five():
    """And is seldom taken for equivalence."""
    rng, n, found, equivalent = np.random.default_rng(7), 30, 0, 0
    for _ in range(2000):
        values = 0.02 * (rng.normal(size=n) + (stats.t.ppf(0.975, n - 1) + stats.t.ppf(0.8, n - 1)) / n**0.5)
        estimate = significance.estimate(np.repeat(values[:, None], 3, axis=1))
        found += estimate.p_value() < 0.05
        equivalent += estimate.p_equivalent(estimate.resolution) < 0.05
    assert 0.77 < found / 2000 < 0.84 and equivalent / 2000 < 0.1


def test_the_number_of_seeds_that_would_decide():
    """By hand: 0.5 > t(n - 1) * 1 / sqrt(n) first at n = 18 (t = 2.110), and no number of seeds helps few items."""
    values = np.array([0.5 - 1, 0.5, 0.5 + 1])
    assert significance.estimate(np.repeat(values[:, None], 3, axis=1)).seeds_to_decide() == 18
    assert significance.Estimate(0.5, (0.5, 0.5), 1.0, 0.1).seeds_to_decide() is None


def test_holms_adjustment():
    """Holm (1979): 0.01 * 4, 0.02 * 3, 0.03 * 2, 0.5, in the order that they came, none below the one before."""
    assert significance.holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert significance.holm([]) == []


def test_what_was_not_kept_has_no_resamples(tmp_path):
    of = write(tmp_path, record(), bins=np.ones((2, 3, 15)))
    assert NLL.resampled(of, 5) is None and ECE.resampled(of, 5).shape == (6,)
    assert ECE.resampled(row(), 5) is None


def test_what_a_record_does_not_hold_has_no_value():
    for quantity in (SMOOTH_ECE, ECE_WITHOUT_EOS, ECE_OF_ALL_CLASSES):
        assert quantity.of_record(record()) is None
    others = Bins.of([0.9, 0.9], [1, 0])
    of = record(smooth_ece=0.25, bins_by_class={"others": others, "eos": Bins.zeros()}, bins_full=others)
    values = [quantity.of_record(of) for quantity in (SMOOTH_ECE, ECE_WITHOUT_EOS, ECE_OF_ALL_CLASSES)]
    assert values == [0.25, pytest.approx(0.4), pytest.approx(0.4)]
    assert ECE_WITHOUT_EOS.of_record(record(bins_by_class={"others": Bins.zeros(), "eos": others})) is None


def test_a_number_has_its_digits_and_a_missing_one_is_an_empty_cell():
    assert (ECE.text(0.12344), BLEU.text(27.345), NLL.text(None), number(2.0, 2)) == ("0.1234", "27.3", "", "2.00")
    assert len({quantity.name for quantity in QUANTITIES}) == len(QUANTITIES)


@pytest.mark.parametrize("seeds_vary", [0.0, 0.03, 0.1, 0.3, 1.0])
def test_intervals_cover_the_truth_about_as_often_as_they_say(seeds_vary):
    """Means of made-up runs whose truth is 0: three seeds, 400 items that all of them share. 95 % intervals hold it in
    92 % to 96 % of 2000 worlds: least often where the seeds vary more than the items, but not by much."""
    rng = np.random.default_rng(2)
    weights = significance.resamples(400, 1000) / 400
    held = 0
    for _ in range(2000):
        items = rng.normal(size=400)
        runs = items + seeds_vary * rng.normal(size=(3, 1)) + 0.1 * rng.normal(size=(3, 400))
        low, high = significance.estimate(runs @ weights.T).interval()
        held += low < 0 < high
    assert 0.915 < held / 2000 < 0.965


def test_one_seed_has_the_variance_of_its_items():
    vector = np.concatenate(([5.0], np.random.default_rng(3).normal(5, 2, 4000)))
    estimate = significance.estimate(vector[None])
    assert estimate.value == 5.0 and estimate.n_seeds == 1
    assert estimate.error == pytest.approx(2, rel=0.05)
    low, high = estimate.interval()
    assert (high - low) / 2 == pytest.approx(1.96 * estimate.error, rel=1e-3)


def test_resamples_are_the_same_for_sets_of_one_size():
    assert significance.resamples(7, 5) is significance.resamples(7, 5)
    assert (significance.resamples(7, 5).sum(axis=1) == 7).all() and (significance.resamples(7, 5)[0] == 1).all()


def test_a_percentile_interval_leaves_out_the_data_themselves():
    low, high = significance.percentile_interval(np.concatenate(([1e9], np.linspace(0, 1, 1001))))
    assert (low, high) == (pytest.approx(0.025), pytest.approx(0.975))


def test_the_wilson_interval_of_a_share():
    """8 of 10: [0.4902, 0.9433] (Newcombe 1998's method 3, as statsmodels gives it)."""
    low, high = significance.wilson(np.array([8.0]), np.array([10.0]))
    assert low[0] == pytest.approx(0.4902, abs=2e-4) and high[0] == pytest.approx(0.9433, abs=2e-4)
    assert significance.wilson(0.0, 715.0)[0] == 0.0 and significance.wilson(211.0, 211.0)[1] == 1.0
