"""The rule of claims on made-up vectors, and verdicts on made-up studies whose truth is known."""

import sys

import numpy as np
import pytest
from builders import record, scored, taught_by, teacher_run, write, write_run, write_world
from msgspec.structs import replace
from scipy import stats

from analysis import claims, publish, significance
from analysis.claims.__main__ import main
from analysis.claims.rule import Claim, Measured, Missing, NotTestable, Part, PremiseNotMet, decide
from analysis.claims.selective import TRANSLATIONS
from analysis.claims.translation import CLAIMS
from analysis.quantities import BLEU
from analysis.rows import Row, load, select
from analysis.study import Study
from mt_ls.calibration.bins import Bins
from mt_ls.calibration.selective import TOKEN_SCORES
from mt_ls.records import RecordError


def values(mean, seeds=(-0.01, 0.0, 0.01)):
    """Vectors of a part over three seeds and 500 resamples with a standard error of 1 that the seeds share."""
    items = np.random.default_rng(0).normal(size=501)
    items[0] = 0.0
    return mean + items[None] + np.array(seeds)[:, None]


def decided_alone(vectors, kind="greater"):
    """The verdict on a claim of one part."""
    part = Part("a", "unit", lambda subject: Measured(vectors), kind)
    (verdict,) = decide([Claim(1, "words", "where", "paper", [part], lambda evidence: {"": None})], None)
    return verdict


@pytest.mark.parametrize(
    ("kind", "mean", "word"),
    [
        ("greater", 2.2, "reproduced"),
        ("greater", 1.8, "inconclusive"),
        ("greater", -1.8, "inconclusive"),
        ("greater", -2.2, "not reproduced"),
        ("same", 0.0, "reproduced"),
        ("same", 1.0, "reproduced"),  # 1.16 errors: 2.80, the margin, less 1.64
        ("same", -1.4, "inconclusive"),
        ("same", 2.2, "not reproduced"),
        ("same", -2.2, "not reproduced"),
        ("no worse", 9.0, "reproduced"),
        ("no worse", -1.0, "reproduced"),
        ("no worse", -1.4, "inconclusive"),
        ("no worse", -2.2, "not reproduced"),
    ],
)
def test_a_part_is_decided_by_its_interval_or_within_the_resolution(kind, mean, word):
    verdict = decided_alone(values(mean), kind)
    assert verdict.word == word and verdict.estimate.error == pytest.approx(1, rel=0.1)
    if kind == "greater":
        assert verdict.margin is None
    else:
        assert verdict.margin == pytest.approx(2.80, rel=0.1)


def test_p_values_are_adjusted_for_all_parts_of_the_study():
    parts = [Part(str(mean), "unit", lambda subject, mean=mean: Measured(values(mean))) for mean in (2.5, 9.0, 0.1)]
    of_claims = [Claim(n, "", "", "", [part], lambda evidence: {"x": None}) for n, part in enumerate(parts)]
    missing = Claim(9, "", "", "", parts, raising(Missing("runs")))
    verdicts = decide([*of_claims, missing], None)
    assert [v.adjusted for v in verdicts[:3]] == pytest.approx(significance.holm([v.p_value for v in verdicts[:3]]))
    assert verdicts[0].adjusted == pytest.approx(2 * verdicts[0].p_value)
    assert [(v.word, v.label, v.adjusted) for v in verdicts[3:]] == [("not measured", f"9{c}", None) for c in "abc"]


def raising(error):
    def function(argument):
        raise error

    return function


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        (Missing("runs"), "not measured"),
        (PremiseNotMet("runs"), "premise not met"),
        (NotTestable("runs"), "not testable"),
    ],
)
def test_the_reason_of_no_estimate_is_named(reason, word):
    claim = Claim(1, "", "", "", [Part("a", "unit", raising(reason))], lambda evidence: {"alexnet": None})
    (verdict,) = decide([claim], None)
    assert (verdict.word, verdict.why, verdict.estimate) == (word, "runs", None)
    line = claims.cells([verdict])[1]
    assert line[:2] == ["1a. a, alexnet (unit)", f"{word} (runs)"] and not any(line[2:])


def test_one_seed_is_inconclusive():
    verdict = decided_alone(np.full((1, 11), 5.0))
    assert (verdict.word, verdict.why, verdict.p_value) == ("inconclusive", "one training seed", None)


def test_a_small_p_value_has_no_digits():
    assert claims.cells([decided_alone(values(9.0))])[1][5] == "< 0.0001"


def test_an_open_part_says_how_many_seeds_would_decide_it():
    """Seeds alone, 0.5 with a deviation of 1: 18 seeds (`test_quantities`)."""
    verdict = decided_alone(np.repeat(np.array([[-0.5], [0.5], [1.5]]), 3, axis=1))
    assert claims.cells([verdict])[1][1:] == [
        "inconclusive", "+0.5000", "-1.9841 to +2.9841", "", "0.48", "2/3, p 1", "18 seeds",
    ]  # fmt: skip


N_SENTENCES, LENGTH = 400, 30
GRID = (0.8, 1.0, 1.2)


def write_grid(folder, seeds=(1, 2, 3), smoothing_helps=True, **model):
    """Runs of alpha 0 and 0.1. If smoothing helps: the hard model is over-confident at T = 1 and calibrated at 1.2, the
    smoothed one calibrated at 1 and better by two BLEU, and worse in NLL; if not, the two change places."""
    rng = np.random.default_rng(0)
    for seed in seeds:
        for amount in (0.0, 0.1):
            smoothed = (amount == 0.1) == smoothing_helps
            for split in ("valid", "test"):
                for t in GRID:
                    _write(folder, rng, amount, seed, split, t, smoothed, model)
                for beam, lenpen in ((50, 1.0), (50, 0.0), (5, 0.0)):
                    _write(folder, rng, amount, seed, split, 1.0, smoothed, model, beam, lenpen)


def _write(folder, rng, amount, seed, split, t, smoothed, model, beam=5, lenpen=1.0):
    best = 1.0 if smoothed else 1.2
    share = 0.6 + 0.02 * rng.normal(size=N_SENTENCES)
    count = np.full(N_SENTENCES, float(LENGTH))
    bins = np.zeros((N_SENTENCES, 3, 15))
    bins[:, :, 10] = np.stack((count, count * 0.7, rng.binomial(LENGTH, 0.7 - 0.4 * abs(t - best), N_SENTENCES)), 1)
    hits = rng.binomial(LENGTH, share + 0.03 * smoothed - 0.3 * abs(t - best))
    order = np.arange(4)
    matches = np.maximum(hits[:, None] - 3 * order, 0)
    length = LENGTH - 2 * (beam == 50) * smoothed
    lengths = np.full((N_SENTENCES, 2), (length, LENGTH))
    counts = np.column_stack((lengths, matches, np.broadcast_to(length - order, (N_SENTENCES, 4))))
    nll = count * (2 + 0.3 * smoothed + (t - best) ** 2) + 0.1 * rng.normal(size=N_SENTENCES)
    common = {
        "run": f"{model.get('architecture', 'grid')}_a{amount}_s{seed}",
        "corpus": "grid",
        "seed": seed,
        "split": split,
        "temperature": t,
        "bins": Bins.from_sums(bins.sum(0)),
        "fitted_temperature": best,
        "fitted_on": "valid",
        **model,
    }
    if (beam, lenpen) == (5, 1.0):
        by_class = {"others": common["bins"], "eos": Bins.of([0.9], [1])}
        forced = record(amount, **common, nll=nll.sum() / count.sum(), bins_by_class=by_class)
        write(folder, forced, bins=bins, nll=nll)
    worse = bins.copy()
    worse[:, 2] = worse[:, 2] // 2
    score = BLEU.of_items(counts, np.ones((1, N_SENTENCES))).item()
    scores = {"bleu": {"score": score}, "chrf": {"score": 2 * score}, "ter": {"score": 100 - score}}
    areas = dict.fromkeys(TOKEN_SCORES, 0.5) | {"probability": (0.6 if smoothed else 0.4) + 0.001 * seed}
    scores |= {"length_ratio": length / LENGTH, "token_naurc": areas}
    searched = record(amount, **common, mode="beam", beam=beam, lenpen=lenpen, **scores)
    write(folder, searched, bins=worse, bleu=counts, **scored(N_SENTENCES, 60 if smoothed else 5, seed))


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grid")
    write_grid(folder)
    return folder


def decided(rows, draws=50):
    return claims.verdicts(Study(rows), draws)


def verdicts(folder, draws=300):
    """{label of a part: verdict}; of several subjects the last."""
    return {verdict.label: verdict.word for verdict in claims.verdicts(Study(load([folder])), draws)}


def labels(found, word):
    return {label for label, of_part in found.items() if of_part == word}


def test_a_world_in_which_the_paper_is_right(grid):
    """Everything but "both lose the same length", of beams that smoothing shortens there."""
    found = verdicts(grid)
    assert labels(found, "not reproduced") == {"10c"} and labels(found, "not measured") == set()
    assert labels(found, "not testable") == {"8a"}
    assert labels(found, "inconclusive") <= {"8b"}


def test_a_world_in_which_the_paper_is_wrong(tmp_path):
    """The two models have changed places: the hard one is calibrated, and better."""
    write_grid(tmp_path, smoothing_helps=False)
    found = verdicts(tmp_path)
    refuted = {"2a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b", "5c", "5d", "6a", "6b", "7b", "7d", "10a", "10b"}
    assert labels(found, "not reproduced") == refuted | {"10c", *(f"28{letter}" for letter in "abcdef")}
    assert {"9a", "9b", "9c", "9d"} <= labels(found, "reproduced")


def test_what_is_published_gives_the_same_findings(grid, tmp_path):
    rows = load([grid])
    publish.publish(rows, tmp_path)
    published = decided(load([tmp_path]))
    assert claims.cells(published) == claims.cells(decided(rows))
    assert {v.word for v in published if v.estimate is None} == {"not testable"}


def test_a_search_in_half_precision_decides_no_claim(grid):
    rows = load([grid])
    half = [
        Row(replace(row.record, search_precision="fp16", bleu={"score": 0.0}), row.folder)
        for row in select(rows, mode="beam")
    ]
    assert half and claims.cells(decided([*rows, *half])) == claims.cells(decided(rows))


def test_models_of_two_architectures_are_not_averaged(grid, tmp_path):
    """Smoothing helps one body and harms the other: each has its parts, and the claims do not hold for both."""
    write_grid(tmp_path, architecture="big")
    write_grid(tmp_path, smoothing_helps=False, architecture="small")
    found = [f for f in decided(load([tmp_path]), draws=300) if f.label == "4a"]
    assert [(f.subject, f.word) for f in found] == [
        ("big, alpha 0", "reproduced"),
        ("small, alpha 0", "not reproduced"),
    ]
    assert {f.estimate.n_seeds for f in found} == {3}


def test_the_same_temperature_chosen_twice_decides_nothing(grid):
    """ECE and NLL are least at the same T here."""
    (verdict,) = [f for f in decided(load([grid])) if f.label == "8a"]
    assert (verdict.word, verdict.estimate) == ("not testable", None)
    assert verdict.why == "both choose the same temperature in each of 6 runs"


def test_what_a_part_has_chosen_is_noted(grid):
    """In this world both models' NLL grow alike away from T = 1 and 1.2, so that smoothing fares worst at 1.2."""
    notes = {f.label: f.why for f in decided(load([grid]), draws=20)}
    assert notes["6a"] == "T = 1.2, the greatest that was searched at"
    assert (notes["5b"], notes["7a"], notes["7d"]) == ("T = 0.8", "T = 0.8", "T = 1.2")
    assert notes["4c"].startswith("length penalties ") and notes["5a"] == "the same sign from T = 0.8 to 1.2"


def test_the_temperature_at_which_the_nll_is_equal_is_noted(tmp_path):
    """With 0.3 nats less for smoothing it is better at T = 1 (2.04 and 2.0) and worse at 1.2 (2.0 and 2.04)."""
    write_grid(tmp_path)
    rows = load([tmp_path])
    for row in rows:
        if row.items is not None and row.items.nll is not None and row.record.model.amount == 0.1:
            row.items.nll[:] -= 0.3 * row.items.n
    notes = {f.label: f.why for f in decided(rows, draws=20)}
    assert notes["5a"] == "above T = 1.10 smoothing has the greater NLL, below it the lesser"


def test_a_split_that_chose_does_not_report(grid):
    """Of valid alone: temperatures were fitted on it."""
    rows = [Row(replace(row.record, split="test", fitted_on="test"), row.folder) for row in load([grid])]
    rows = [row for row in rows if row.record.split == "test" and row.record.mode == "forced"]
    with pytest.raises(RecordError, match="temperatures were fitted on test"):
        decided(rows)


def test_one_seed_proves_nothing_and_what_is_missing_is_named(grid):
    one = [row for row in load([grid]) if row.record.seed == 1]
    assert {f.word for f in decided(one, draws=300)} == {"inconclusive", "not testable"}
    rows = [row for row in one if row.record.beam != 50]
    missing = [f for f in decided(rows) if f.word == "not measured"]
    assert [f.label for f in missing] == ["10a", "10b", "10c"]
    assert missing[0].why == "test, alpha 0, seed 1, beam50, T 1.0"
    hard = select(rows, amount=0.0)
    assert {f.why for f in decided(hard)} == {"runs of alpha 0 and 0.1 with the same seed on valid and test"}


def test_a_run_that_is_measured_in_part_does_not_count(grid):
    rows = load([grid])
    for split in ("valid", "test"):
        of_part = [
            row
            for row in rows
            if not (row.record.seed == 2 and row.record.split == split and row.record.model.smoothing.amount == 0.1)
        ]
        without = [row for row in rows if row.record.seed != 2]
        assert decided(of_part) == decided(without)


def test_the_command_prints_a_line_a_claim(grid, capsys):
    assert main([str(grid)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + sum(
        1 + len(claim.parts) for claim in [*CLAIMS, TRANSLATIONS]
    )
    assert main([str(grid / "nowhere")]) == 2
    assert "no such file or folder" in capsys.readouterr().err
    assert "analysis.claims" in sys.modules


@pytest.fixture(scope="module")
def right(tmp_path_factory):
    return write_world(tmp_path_factory.mktemp("right"), True)


def test_a_world_of_images_in_which_the_paper_is_right(right):
    found = verdicts(right, draws=200)
    assert labels(found, "not reproduced") == set()
    assert labels(found, "inconclusive") == {"29a"}  # all images have one confidence
    assert labels(found, "not measured") == {"16b", "18a", "29b", "29c"}  # taught once, by logits; without scores
    assert labels(found, "not testable") == labels(found, "premise not met") == set()


def test_a_world_of_images_in_which_the_paper_is_wrong(tmp_path):
    found = verdicts(write_world(tmp_path, False), draws=200)
    refuted = {"11a", "11b", "11c", "11d", "11e", "12a", "12b", "12c", "13a", "15a", "16a", "17c", "17d"}
    assert labels(found, "not reproduced") == refuted
    assert labels(found, "premise not met") == {"14b"}
    assert labels(found, "reproduced") == {"17a", "17b"}  # of information that rises and falls a little


def test_one_seed_of_images_proves_nothing(tmp_path):
    write_world(tmp_path, True, seeds=(1,))
    assert set(verdicts(tmp_path).values()) == {"inconclusive", "not measured"}
    lines = claims.cells(claims.verdicts(Study(load([tmp_path])), draws=20))
    intervals = {line[0].split(".")[0]: bool(line[3]) for line in lines if line[1]}
    assert (intervals["11a"], intervals["13a"]) == (False, True)  # geometry is not resampled, ECE is


def write_students(folder, accuracies, gammas=None):
    """Students of two teachers by the temperature that taught them, {alpha: {T: accuracy}}, three seeds each."""
    for seed in (1, 2, 3):
        for amount, at in accuracies.items():
            for t, accuracy in at.items():
                of = {"architecture": "alexnet", "teacher": taught_by("resnet_8", amount, t)}
                if gammas:
                    of["teacher_run"] = teacher_run(gammas[amount][t])
                write_run(folder, f"of_{amount}_{t}", seed, accuracy, 0.0, **of)


@pytest.mark.parametrize(("scaled", "verdict"), [(0.85, "reproduced"), (0.99, "not reproduced")])
def test_scale_and_erased_information_are_told_apart(tmp_path, scaled, verdict):
    """A smoothed teacher at T = 1 has worse students; with a temperature they stay worse, or do not."""
    write_students(tmp_path, {0.0: {1.0: 0.80, 2.0: 0.95}, 0.1: {1.0: 0.80, 2.0: scaled}})
    found = verdicts(tmp_path, draws=200)
    assert (found["16a"], found["18a"]) == ("reproduced", verdict)


def test_a_best_temperature_of_1_is_counted_once(tmp_path):
    write_students(tmp_path, {0.0: {1.0: 0.80, 2.0: 0.95}, 0.1: {1.0: 0.90, 2.0: 0.80}})
    found = {f.label: f for f in claims.verdicts(Study(load([tmp_path])), draws=50)}
    assert found["18a"].word == "not testable" and "T = 1, as in 16a" in found["18a"].why


def test_students_are_compared_at_the_nearest_gamma(tmp_path):
    """The hard teacher's gamma at T = 4 is nearest to the smoothed one's; its best students are those of T = 2."""
    gammas = {0.0: {1.0: 0.01, 2.0: 0.05, 4.0: 0.11}, 0.1: {1.0: 0.10}}
    write_students(tmp_path, {0.0: {1.0: 0.80, 2.0: 0.95, 4.0: 0.85}, 0.1: {1.0: 0.90}}, gammas)
    found = {f.label: f for f in claims.verdicts(Study(load([tmp_path])), draws=50)}
    assert (found["16a"].word, found["16b"].word) == ("reproduced", "not reproduced")
    assert found["16b"].why.startswith("gamma 0.11 and 0.10; taught by T = 4 and T = 1; on the images p = ")


def test_the_exact_test_on_the_images_is_mcnemars(tmp_path):
    """Against scipy's binomial test of the images on which one student alone is right."""
    write_students(tmp_path, {0.0: {1.0: 0.90}, 0.1: {1.0: 0.88}})
    rows = select(load([tmp_path]), split="test", temperature=1.0, seed=2)
    hard, smoothed = (row.items.bins[:, 2].sum(-1) for row in sorted(rows, key=lambda row: row.record.run))
    p = stats.binomtest(int((hard > smoothed).sum()), int((hard != smoothed).sum())).pvalue
    (verdict,) = [f for f in claims.verdicts(Study(load([tmp_path])), draws=50) if f.label == "16a"]
    assert verdict.why.split("p = ")[1].split(", ")[1] == f"{p:.2g}"


@pytest.mark.parametrize(
    ("kept", "missing"), [("teacher", {15, 16, 17, 18, 29}), ("r", {11, 12, 13, 14, 15, 16, 18, 29})]
)
def test_what_is_missing_is_not_measured(right, kept, missing):
    rows = load([right])
    chosen = [row for row in rows if row.record.run.startswith(kept)]
    chosen += [row for row in rows if kept == "r" and row.record.run == "student_0.0_s1"]
    found = claims.verdicts(Study(chosen), draws=20)
    assert {f.claim.number for f in found if f.word == "not measured"} == missing


def test_information_of_a_single_image_has_nothing_to_be_compared_with(right):
    rows = [Row(replace(row.record, n_sentences=1), row.folder) for row in load([right])]
    found = {f.label: f for f in claims.verdicts(Study(select(rows, mode="information")), draws=20)}
    assert found["17b"].word == "reproduced" and found["17d"].word == "not measured" and "1 images" in found["17d"].why


def test_two_precisions_of_one_network_have_parts_of_their_own(tmp_path):
    """Smoothing calibrates one of them and not the other."""
    for precision, gaps in ((None, (0.04, 0.0)), ("bf16", (0.0, 0.04))):
        for seed in (1, 2, 3):
            for amount, gap in zip((0.0, 0.1), gaps, strict=True):
                write_run(tmp_path, f"{precision}_{amount}", seed, 0.9, gap, amount=amount, precision=precision)
    found = {f.subject: f.word for f in claims.verdicts(Study(load([tmp_path])), draws=50) if f.label == "13a"}
    assert sorted(found.values()) == ["not reproduced", "reproduced"]
    assert {word for subject, word in found.items() if "bf16" in subject} == {"not reproduced"}


def test_each_amount_of_smoothing_is_a_row(tmp_path):
    """The paper's amount on CIFAR-100 is 0.05."""
    for amount, gap in ((0.0, 0.04), (0.05, 0.0), (0.1, 0.08)):
        for seed in (1, 2, 3):
            write_run(tmp_path, f"a{amount}", seed, 0.9, gap, amount=amount)
    found = {f.subject: f.word for f in claims.verdicts(Study(load([tmp_path])), draws=50) if f.label == "13a"}
    assert found == {"mlp_1200, alpha 0.05": "reproduced", "mlp_1200, alpha 0.1": "not reproduced"}


def test_students_of_several_betas_are_not_chosen_among_in_silence(tmp_path):
    for beta in (0.5, 1.0):
        for amount in (0.0, 0.1):
            teacher = taught_by("resnet_8", amount, 1.0, beta)
            write_run(tmp_path, f"of_{amount}_{beta}", 1, 0.9, 0.0, architecture="alexnet", teacher=teacher)
    (verdict,) = [v for v in claims.verdicts(Study(load([tmp_path])), draws=50) if v.label == "16a"]
    assert verdict.word == "not measured" and "records of one model" in verdict.why
