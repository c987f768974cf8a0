"""Claims, tables and the figure of models of several sizes of data, on made-up runs whose gains are known."""

import math
import re
import zlib

import numpy as np
import pytest
from builders import item_bins, record, write
from sacrebleu.metrics import BLEU

from analysis import claims, publish, tables
from analysis.claims import size_evidence, sizes
from analysis.figures import drawings
from analysis.figures import sizes as figure
from analysis.rows import load
from analysis.study import Study
from mt_ls.calibration.bins import Bins

WIDE, NARROW = "transformer_mt_ls_mini", "transformer_mt_ls_mini_narrow"
SIZES = (1000, 10_000, 100_000)
PARTS = {"help": 100, "messages": 200}
N, TOKENS = 300, 40


def nll_gain(size):
    """0.3 nats with a thousand pairs, 0 with 31 623, less than 0 with more."""
    return 0.2 * (4.5 - math.log10(size))


def gap_without_smoothing(split, temperature, vocabulary, architecture):
    """Greater out of domain, less with the large vocabulary, least where the model is narrow, too; 0.05 at its T."""
    if temperature != 1.0:
        return 0.05
    if split == "literary":
        return 0.16
    return 0.1 if vocabulary == 2000 else 0.06 if architecture == WIDE else 0.04


def write_one(folder, size, amount, seed, split, temperature, mode="forced", vocabulary=2000, architecture=WIDE):
    """A record whose NLL, ECE and BLEU depend on size and smoothing; without smoothing the fitted T is 1.3 to 1.1."""
    rng = np.random.default_rng(seed)
    fitted = 1.0 if amount else 1.6 - 0.1 * math.log10(size) + 0.001 * seed
    gap = 0.02 if amount else gap_without_smoothing(split, temperature, vocabulary, architecture)
    confidence = rng.uniform(0.4, 0.8, N * TOKENS)
    hit = rng.random(N * TOKENS) < confidence - gap
    bins = item_bins(confidence, hit, np.repeat(np.arange(N), TOKENS), N)
    nll = TOKENS * (2.0 + rng.normal(0, 0.2, N) - (nll_gain(size) if amount else 0))
    run = f"{architecture}_{size}_v{vocabulary}_a{amount}_s{seed}"
    changes = {
        "run": run,
        "seed": seed,
        "mode": mode,
        "split": split,
        "pairs": size,
        "vocabulary": vocabulary,
        "architecture": architecture,
        "sha": {
            "data": f"{size + vocabulary:08x}".ljust(64, "0"),  # names of records have the first eight digits
            "checkpoint": f"{zlib.crc32(run.encode()):08x}".ljust(64, "0"),
            "code": "e" * 40,
        },
        "temperature": fitted if temperature == "fitted" else temperature,
        "bins": Bins.from_sums(bins.sum(0)),
        "nll": float(nll.sum() / (N * TOKENS)),
        "fitted_temperature": fitted,
        "fitted_on": "valid",
    }
    if split != "literary":
        changes["parts"] = PARTS
    if mode == "beam":
        counts = np.tile([20, 20, 10, 6, 4, 2, 20, 19, 18, 17], (N, 1))
        counts[:, 2] += rng.integers(0, 3, N) + (2 if amount else 0)
        changes |= {
            "beam": 5,
            "lenpen": 1.0,
            "bleu": {"score": 22.0 if amount else 20.0, "signature": "x"},
            "nll": None,
        }
        return write(folder / changes["run"], record(amount, **changes), bins=bins, bleu=counts)
    return write(folder / changes["run"], record(amount, **changes), bins=bins, nll=nll)


def write_model(folder, size, **model):
    for amount in (0.0, 0.1):
        for seed in (1, 2, 3):
            for split in ("valid", "test", "literary"):
                for temperature in (1.0, "fitted") if not amount else (1.0,):
                    write_one(folder, size, amount, seed, split, temperature, **model)
            write_one(folder, size, amount, seed, "test", 1.0, mode="beam", **model)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sizes")
    for size in SIZES:
        write_model(folder, size)
    write_model(folder, 10_000, vocabulary=16_000)
    write_model(folder, 10_000, architecture=NARROW)
    write_model(folder, 10_000, architecture=NARROW, vocabulary=16_000)
    return folder


@pytest.fixture(scope="module")
def study(runs):
    return Study(load([runs]))


@pytest.fixture(scope="module")
def verdicts(study):
    return {f"{verdict.label} {verdict.subject}".strip(): verdict for verdict in claims.verdicts(study, draws=300)}


def test_gains_are_decided_by_size(verdicts):
    assert (verdicts["19a"].word, verdicts["19b"].word) == ("reproduced", "not reproduced")
    assert verdicts["19a"].estimate.value == pytest.approx(0.3) and verdicts["19b"].estimate.value == pytest.approx(
        -0.1
    )
    assert verdicts["19a"].why == "1 000 pairs" and verdicts["19b"].why == "100 000 pairs"
    assert verdicts["21a"].word == "reproduced" and verdicts["23b"].word == "reproduced"


def test_a_slope_is_that_of_least_squares_and_its_turn_is_where_the_line_is_zero(verdicts):
    assert verdicts["19c"].estimate.value == pytest.approx(0.2)
    assert verdicts["19c"].word == "reproduced" and "turn at 32 000 pairs (95 %: 3" in verdicts["19c"].why
    assert verdicts["21c"].why == "no turn from 1 000 to 10 000 000 pairs"
    logs = [np.log([1.6 - 0.1 * math.log10(size) + 0.001 * seed for size in SIZES]) for seed in (1, 2, 3)]
    slopes = [np.polyfit(np.log10(SIZES), values, 1)[0] for values in logs]
    assert verdicts["24a"].estimate.of_seeds == pytest.approx([-slope for slope in slopes])
    assert verdicts["24a"].why == "T 1.30, 1.20, 1.10"


@pytest.mark.parametrize(
    ("gains", "error", "words"),
    [
        ((0.2, 0.0, -0.2), 0.01, r"turn at 10 000 pairs \(95 %: [89][\d ]* to 1[\d ]*\)"),
        ((0.2, 0.0, -0.2), 1e-7, r"turn at 10 000 pairs \(95 %: 10 000 to 10 000\)"),
        ((0.2, 0.0, -0.2), 5.0, r"turn at 10 000 pairs \(undecided\)"),
        ((0.3, 0.29, 0.28), 0.001, "no turn from 1 000 to 10 000 000 pairs"),
        ((0.3, 0.29, 0.28), 0.1, r"turn beyond 1 000 to 10 000 000 pairs \(95 %: .*\)"),
    ],
)
def test_a_turn_has_the_sizes_at_which_the_line_may_be_zero(gains, error, words):
    """Of gains with independent errors at three sizes; three seeds that are alike."""
    noise = np.random.default_rng(0).normal(0, error, (3, 1, 2001))
    noise[:, :, 0] = 0
    vectors = np.repeat(np.array(gains)[:, None, None] + noise, 3, axis=1)

    class Any:
        seeds = (1, 2, 3)

    assert re.fullmatch(words, size_evidence.Sizes({size: Any() for size in SIZES}).turn(vectors))


def test_two_ranges_of_sizes_are_both_named():
    assert (
        size_evidence._open_sizes([True, False, False, True] + [True] * 397, 5.0)
        == "95 %: less to 1 000 or 1 100 to more"
    )


def test_seeds_that_are_measured_in_one_domain_alone_do_not_count(study):
    rows = [row for row in study.rows if not (row.record.split == "literary" and row.record.seed == 3)]
    verdicts = {verdict.label: verdict for verdict in claims.verdicts(Study(rows), draws=100)}
    assert verdicts["25a"].estimate.n_seeds == verdicts["25b"].estimate.n_seeds == 2
    assert verdicts["19a"].estimate.n_seeds == 3


def test_a_size_with_one_seed_yet_does_not_undo_the_others(study):
    rows = [row for row in study.rows if not (row.record.model.pairs == 100_000 and row.record.seed != 1)]
    verdicts = {verdict.label: verdict for verdict in claims.verdicts(Study(rows), draws=100)}
    assert verdicts["19a"].estimate.n_seeds == 3 and verdicts["19b"].why == "10 000 pairs"


def test_a_run_without_searches_yet_counts_for_the_rest(study):
    rows = [row for row in study.rows if not (row.record.mode == "beam" and row.record.seed == 3)]
    verdicts = {verdict.label: verdict for verdict in claims.verdicts(Study(rows), draws=100)}
    assert verdicts["19a"].estimate.n_seeds == 3 and verdicts["23a"].estimate.n_seeds == 2
    assert "seeds 1, 2" in verdicts["23a"].why


def test_each_quantity_has_its_gain(verdicts):
    """NLL at the fitted T as at T = 1, beam ECE as forced ECE, since the made-up runs have the same items in both."""
    assert verdicts["20a"].estimate.value == pytest.approx(0.3) and verdicts["22a"].estimate.value > 0.05


def test_vocabularies_widths_and_the_other_domain_have_their_claims(verdicts):
    values = {label: verdict.estimate.value for label, verdict in verdicts.items()}
    assert verdicts[f"26a {NARROW}"].word == verdicts[f"26a {WIDE}"].word == "reproduced"
    assert values[f"26a {WIDE}"] == pytest.approx(0.04, abs=0.01)
    assert values[f"26a {NARROW}"] == pytest.approx(0.06, abs=0.01)
    assert values["27a"] == pytest.approx(0.02, abs=0.01)
    assert values["25a"] == pytest.approx(0.14, abs=0.01) and values["25b"] == pytest.approx(0.06, abs=0.02)
    assert values["25c"] == pytest.approx(0.03, abs=0.01)
    assert [verdicts[f"25{letter}"].word for letter in "abc"] == ["reproduced"] * 3


def test_resamples_of_two_sets_of_sentences_are_not_paired():
    vectors = np.random.default_rng(0).normal(size=(2, 301))
    apart = sizes._apart(vectors, vectors)
    assert (apart[:, 0] == 0).all() and apart[:, 1:].std() == pytest.approx(2**0.5, rel=0.1)


def test_what_is_missing_is_named(tmp_path):
    for size in SIZES[:2]:
        write_model(tmp_path, size)
    verdicts = claims.verdicts(Study([row for row in load([tmp_path]) if row.record.split != "literary"]), draws=50)
    missing = {verdict.claim.number: verdict.why for verdict in verdicts if verdict.word == "not measured"}
    assert missing == {
        25: "the split literary",
        26: "models of two vocabularies that are alike in all else",
        27: "models of two vocabularies and two widths",
    }


def test_the_tables_have_a_line_a_pair_of_models_and_a_kind_of_text(study):
    by_name = {table.name: table for table in tables.tables(study)}
    lines = by_name["sizes"].cells
    assert [line[1] for line in lines] == [
        *(f"{WIDE}, {n} pairs, 2 000 subwords" for n in ("1 000", "10 000", "100 000")),
        f"{WIDE}, 10 000 pairs, 16 000 subwords",
        f"{NARROW}, 10 000 pairs, 2 000 subwords",
        f"{NARROW}, 10 000 pairs, 16 000 subwords",
    ]
    assert lines[0][0] == "1 000" and {line[2] for line in lines} == {"3"}
    of_kinds = [line for line in by_name["kinds"].cells if line[0] == "1 000"]
    assert [line[1:3] for line in of_kinds] == [["help", "100"], ["messages", "200"], ["literary", "300"]]
    rows = [row for row in study.rows if row.record.run == f"{WIDE}_1000_v2000_a0.0_s1" and row.record.split == "test"]
    (hard,) = [row for row in rows if row.record.mode == "forced" and row.record.temperature == 1.0]
    of_help = hard.items.nll[:100].sum() / hard.items.n[:100].sum()
    others = np.mean([float(of_kinds[0][5]), float(of_kinds[1][5]), float(of_kinds[1][5])])
    assert others == pytest.approx(float(lines[0][5]), abs=2e-3) and float(of_kinds[0][5]) == pytest.approx(
        of_help, abs=0.1
    )


def test_bleu_of_a_kind_is_that_of_its_sentences(study):
    """As sacrebleu computes it from the sums of their statistics."""
    table = next(table for table in tables.tables(study) if table.name == "kinds")
    line = next(line for line in table.cells if line[:2] == ["1 000", "help"])
    rows = [row for row in study.rows if row.record.run.startswith(f"{WIDE}_1000_v2000_a0.0") and row.record.bleu]
    sums = [row.items.bleu[:100].sum(axis=0).astype(int).tolist() for row in rows]
    scores = [BLEU.compute_bleu(of[2:6], of[6:10], of[0], of[1]).score for of in sums]
    assert len(scores) == 3 and float(line[3]) == pytest.approx(np.mean(scores), abs=0.05)


def test_the_figure_has_four_panels_with_the_paper_beside(study):
    (drawing,) = [drawing for drawing in drawings(study) if drawing.name == "sizes"]
    axes = drawing.figure.axes[:4]
    assert [axis.get_ylabel() for axis in axes] == ["BLEU", "NLL (nats a token)", "forced ECE", "fitted temperature"]
    hard, star = axes[1].get_lines()[:2]
    assert hard.get_xdata().tolist() == list(SIZES) and star.get_xdata().tolist() == [4_500_000]
    assert star.get_ydata()[0] == pytest.approx(math.log(4.67))
    assert [line.get_marker() for line in axes[3].get_lines()].count("*") == 1


def test_compact_evidence_is_enough_for_the_tables_and_the_claims(runs, study, verdicts, tmp_path):
    assert publish.main([str(runs), "--compact", "--out", str(tmp_path / "out")]) == 0
    rows = load([tmp_path / "out"])
    assert not any(row.items.text or row.items.scores is not None for row in rows if row.items)
    assert {row.record.split for row in rows if row.items} == {"test", "literary"}
    published = Study(rows)
    for table in (tables.sizes.table, tables.sizes.of_kinds):
        assert table(published).text() == table(study).text()
    before = [(verdict.word, verdict.why) for verdict in verdicts.values()]
    assert [(verdict.word, verdict.why) for verdict in claims.verdicts(published, draws=300)] == before


def test_one_size_has_no_figure(tmp_path):
    write_model(tmp_path, 1000)
    assert figure.figure(Study(load([tmp_path]))) is None
