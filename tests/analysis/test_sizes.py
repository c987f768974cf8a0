"""Claims, tables and the figure of models of several sizes of data, on made-up runs whose gains are known."""

import math

import numpy as np
import pytest
from builders import item_bins, record, write

from analysis import claims, tables
from analysis.claims import sizes
from analysis.figures import drawings
from analysis.figures import sizes as figure
from analysis.rows import load
from analysis.study import Study
from mt_ls.calibration.bins import Bins

SIZES = (1000, 10_000, 100_000)
PARTS = {"help": 100, "messages": 200}
N, TOKENS = 300, 40


def nll_gain(size):
    """0.3 nats with a thousand pairs, 0 with 31 623, less than 0 with more."""
    return 0.2 * (4.5 - math.log10(size))


def write_one(folder, size, amount, seed, split, temperature, mode="forced", vocabulary=2000, architecture="wide"):
    """A record whose NLL, ECE and BLEU depend on size and smoothing; without smoothing the fitted T is 1.3 to 1.1."""
    rng = np.random.default_rng(seed)
    fitted = 1.0 if amount else 1.6 - 0.1 * math.log10(size) + 0.001 * seed
    gap = 0.02 if amount or temperature != 1.0 else 0.1 if vocabulary == 2000 else 0.06
    confidence = rng.uniform(0.4, 0.8, N * TOKENS)
    hit = rng.random(N * TOKENS) < confidence - gap
    bins = item_bins(confidence, hit, np.repeat(np.arange(N), TOKENS), N)
    nll = TOKENS * (2.0 + rng.normal(0, 0.2, N) - (nll_gain(size) if amount else 0))
    changes = {
        "run": f"{architecture}_{size}_v{vocabulary}_a{amount}_s{seed}",
        "seed": seed,
        "mode": mode,
        "split": split,
        "pairs": size,
        "vocabulary": vocabulary,
        "architecture": architecture,
        "sha": {"data": f"{size + vocabulary:064d}", "checkpoint": f"{seed:064d}", "code": "e" * 40},
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
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sizes")
    for size in SIZES:
        write_model(folder, size)
    write_model(folder, 10_000, vocabulary=16_000)
    write_model(folder, 10_000, architecture="narrow")
    write_model(folder, 10_000, architecture="narrow", vocabulary=16_000)
    return Study(load([folder]))


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


def test_a_turn_that_no_size_is_clear_of_is_undecided():
    rng = np.random.default_rng(0)

    class OfNoise:
        sizes = SIZES
        seeds = (1, 2, 3)

        def of_seeds(self, seeds):
            return self

    grid = sizes.Sizes({size: OfNoise() for size in SIZES})
    flat = 0.001 * np.array([1.0, 0.0, -1.0])[:, None, None] + rng.normal(0, 1, (3, 3, 301))
    flat[:, :, 0] = 0.001 * np.array([[1.0], [0.0], [-1.0]])
    assert "undecided" in grid.turn(flat)


def test_vocabularies_widths_and_the_other_domain_have_their_claims(verdicts):
    assert verdicts["26a narrow"].word == verdicts["26a wide"].word == "reproduced"
    assert verdicts["26a wide"].estimate.value == pytest.approx(0.04, abs=0.01)
    assert verdicts["27a"].estimate.value == pytest.approx(0, abs=1e-9)
    assert verdicts["25a"].word == "reproduced" and verdicts["25a"].estimate.value == pytest.approx(0.08, abs=0.01)
    assert verdicts["25b"].estimate.value == pytest.approx(0, abs=1e-9) and verdicts["25b"].word != "reproduced"


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
        27: "models of two vocabularies that are alike in all else",
    }


def test_the_tables_have_a_line_a_pair_of_models_and_a_kind_of_text(study):
    by_name = {table.name: table for table in tables.tables(study)}
    lines = by_name["sizes"].cells
    assert [line[:3] for line in lines[:2]] == [
        ["10 000", "narrow, 10 000 pairs, 2000 subwords", "3"],
        ["10 000", "narrow, 10 000 pairs, 16000 subwords", "3"],
    ]
    assert [line[1] for line in lines[2:]] == [
        f"wide, {n} pairs, 2000 subwords" for n in ("1 000", "10 000", "100 000")
    ] + ["wide, 10 000 pairs, 16000 subwords"]
    of_kinds = [line for line in by_name["kinds"].cells if line[0] == "1 000"]
    assert [line[1:3] for line in of_kinds] == [["help", "100"], ["messages", "200"], ["literary", "300"]]
    rows = [row for row in study.rows if row.record.run == "wide_1000_v2000_a0.0_s1" and row.record.split == "test"]
    (hard,) = [row for row in rows if row.record.mode == "forced" and row.record.temperature == 1.0]
    of_help = hard.items.nll[:100].sum() / hard.items.n[:100].sum()
    others = np.mean([float(of_kinds[0][3]), float(of_kinds[1][3]), float(of_kinds[1][3])])
    assert others == pytest.approx(float(lines[2][5]), abs=2e-3) and float(of_kinds[0][3]) == pytest.approx(
        of_help, abs=0.1
    )


def test_the_figure_has_four_panels_with_the_paper_beside(study):
    (drawing,) = [drawing for drawing in drawings(study) if drawing.name == "sizes"]
    axes = drawing.figure.axes[:4]
    assert [axis.get_ylabel() for axis in axes] == ["BLEU", "NLL (nats a token)", "forced ECE", "fitted temperature"]
    hard, star = axes[1].get_lines()[:2]
    assert hard.get_xdata().tolist() == list(SIZES) and star.get_xdata().tolist() == [4_500_000]
    assert star.get_ydata()[0] == pytest.approx(math.log(4.67))
    assert [line.get_marker() for line in axes[3].get_lines()].count("*") == 1


def test_one_size_has_no_figure(tmp_path):
    write_model(tmp_path, 1000)
    assert figure.figure(Study(load([tmp_path]))) is None
