"""The tables of translation, of images and of the benchmarks, and their layout."""

import numpy as np
import pytest
from builders import item_bins, record, row, study, taught_by, teacher_run, write, write_records, write_world
from scipy import stats

from analysis import significance
from analysis.quantities import ECE
from analysis.rows import Row, at_fitted, held_out, load, mean, select
from analysis.study import Study
from analysis.tables import (
    accuracy,
    beams,
    benchmarks,
    calibration,
    correlations,
    estimators,
    geometry,
    main,
    table_3,
    tables,
    teaching,
    temperatures,
    token_classes,
)
from analysis.tables.layout import Table, markdown, text
from mt_ls.calibration.bins import Bins
from mt_ls.smoothing.kinds import Smoothing


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    write_records(folder)
    return Study(load([folder]))


def test_the_main_table_has_each_model_at_one_and_at_its_fitted_temperature(made):
    cells = main.table(made).cells
    assert [line[0] for line in cells] == ["alpha 0", "alpha 0", "alpha 0.1", "alpha 0.1"]
    assert [line[1] for line in cells] == ["1", "1.20"] * 2
    (of,) = select(made.rows, amount=0.1, split="test", mode="forced", temperature=1.0)
    line = dict(zip(main.HEADER, cells[2], strict=True))
    assert line["forced ECE"] == f"{of.record.bins.ece():.4f}" and line["BLEU"] == "21.0" and line["seeds"] == "1"
    floor, _ = of.record.bins.noise_floor(np.random.default_rng(0), draws=2000)
    assert float(line["floor"]) == pytest.approx(floor, rel=0.1)


def test_two_models_with_one_alpha_are_two_lines_with_their_own_numbers():
    """Two checkpoints of one's own, both trained with smoothing 0.1."""
    rows = [row(0.1, run=f"run_{body}", architecture=body, nll=nll) for body, nll in (("big", 1.0), ("small", 3.0))]
    for by, labels in (("model", ["big, alpha 0.1", "small, alpha 0.1"]), ("run", ["run_big", "run_small"])):
        cells = main.table(study(*rows, by=by)).cells
        at_one = [line for line in cells if line[1] == "1"]
        assert [(line[0], line[2], line[4]) for line in at_one] == [
            (labels[0], "1", "1.000"),
            (labels[1], "1", "3.000"),
        ]


def test_translations_of_unknown_smoothing_have_their_line():
    """An audit of text: no alpha, no seed, no forced mode."""
    of = row(run="system", smoothing=None, seed=None, mode="beam", unit="word", bleu={"score": 31.25, "signature": "x"})
    table = main.table(study(of, by="run"))
    (line,) = (dict(zip(table.header, cells, strict=True)) for cells in table.cells)
    assert (line["model"], line["T"], line["BLEU"]) == ("system", "1", "31.2")
    assert line["beam ECE"] == f"{of.record.bins.ece():.4f}" and float(line["floor"]) > 0 and "NLL" not in line


def test_unigram_smoothing_has_its_own_line():
    rows = [row(0.1), row(0.1, run="u", smoothing=Smoothing("unigram", 0.1), nll=2.5)]
    cells = main.table(study(*rows)).cells
    assert [(line[0], line[4]) for line in cells if line[4]] == [("alpha 0.1", "1.500"), ("alpha 0.1 unigram", "2.500")]


def test_table_3_has_the_papers_line(made):
    cells = table_3.table(made).cells
    assert list(cells[0][1:]) == ["0.056", "0.018 / 1.13", "0.019 / 0.1"]
    assert [line[0] for line in cells[1:]] == ["ours, toy, valid", "ours, toy, test"]
    (of,) = select(made.rows, amount=0.0, split="valid", mode="forced", temperature=1.2)
    assert cells[1][2] == f"{held_out(of).ece():.3f} / 1.20"
    assert table_3.table(study(row(0.3))).cells == []


@pytest.mark.parametrize(
    ("rows", "splits"),
    [
        ([("dev", "dev"), ("test", "dev")], ["dev", "test"]),
        ([("valid", None)], ["valid"]),  # no line twice
    ],
)
def test_table_3_is_of_the_split_that_chose_and_of_the_reported_one(rows, splits):
    of = study(*(row(amount, split=split, fitted_on=fitted) for amount in (0.0, 0.1) for split, fitted in rows))
    assert [line[0] for line in table_3.table(of).cells[1:]] == [f"ours, toy, {split}" for split in splits]


def test_beams_of_several_widths_are_lines():
    rows = [
        row(mode="beam", beam=beam, lenpen=1.0, seed=seed, length_ratio=length, bleu={"score": score, "signature": "x"})
        for beam, seed, score, length in ((5, 1, 20.0, 1.0), (5, 2, 22.0, 0.98), (50, 1, 19.0, 0.9))
    ]
    assert beams.table(study(*rows)).cells == [
        ["alpha 0.1", "5", "1", "2", "21.0", "0.990"],
        ["alpha 0.1", "50", "1", "1", "19.0", "0.900"],
    ]
    assert beams.table(study(*rows[:2])).cells == []  # one search only


def test_table_3_names_checkpoints_where_two_were_measured():
    kinds = ("average of 10", "last")
    rows = [row(amount, run=f"{kind}{amount}", checkpoint=kind) for kind in kinds for amount in (0.0, 0.1)]
    assert [line[0] for line in table_3.table(study(*rows)).cells[1:]] == [
        "ours, toy, checkpoint average of 10, valid",
        "ours, toy, checkpoint average of 10, test",
        "ours, toy, checkpoint last, valid",
        "ours, toy, checkpoint last, test",
    ]


def test_token_classes_are_apart(made):
    cells = token_classes.table(made).cells
    assert [line[0] for line in cells[:3]] == ["alpha 0, others", "alpha 0, eos", "alpha 0, shifted (left out)"]
    assert cells[1][1:5] == ["2", "0.800", "0.500", "0.4000"] and cells[2][1] == "7"  # |0.9 - 1| and |0.7 - 0|, halved


def test_shares_of_tokens_are_those_of_each_seed(tmp_path):
    """Two seeds with 50 and 70 of 100 right: 0.6, and an interval of two seeds, not one of 200 tokens."""
    for seed, hits in ((1, 50), (2, 70)):
        bins = Bins.of([0.65] * 100, [1] * hits + [0] * (100 - hits))
        by_class = {"others": bins, "eos": Bins.zeros()}
        write(tmp_path, record(seed=seed, mode="beam", beam=5, bins=bins, bins_by_class=by_class))
    cells = token_classes.table(Study(load([tmp_path]))).cells
    low, high = stats.ttest_1samp([0.5, 0.7], 0).confidence_interval()
    assert cells[0][1:] == ["200", "0.650", "0.600", "0.1000", f"{low:.3f}-{high:.3f}"]
    assert cells[1][1:] == [""] * 5


def test_other_estimators_are_beside_the_ece():
    """Bins of 10 at confidence 0.9 with 8 hits and of 30 at 0.5 with 15: gaps 0.1 and 0."""
    bins = Bins.of([0.9] * 10 + [0.5] * 30, [1] * 8 + [0] * 2 + [1] * 15 + [0] * 15)
    common = {"bins": bins, "bins_equal_mass": bins.equal_mass(1), "brier": 0.5, "fitted_temperature": 1.5}
    rows = [row(temperature=t, architecture=body, run=body, **common) for body in ("tiny", "base") for t in (1.0, 1.5)]
    table = estimators.table(study(*rows))
    cells = table.cells
    assert [line[:2] for line in cells] == [
        ["base, alpha 0.1", "1"],
        ["base, alpha 0.1", "1.50"],
        ["tiny, alpha 0.1", "1"],
        ["tiny, alpha 0.1", "1.50"],
    ]
    line = dict(zip(table.header, cells[0], strict=True))
    assert (line["ECE"], line["over"], line["under"], line["ECE, equal mass"]) == (
        "0.0250",
        "0.0250",
        "0.0000",
        "0.0250",
    )
    # (0.01 - 0.16 / 9) * 10 / 40 - 0.25 / 29 * 30 / 40 is below 0
    assert (line["debiased, L2"], line["greatest gap"], line["Brier"]) == ("0.0000", "0.100", "0.5000")
    assert (line["SmoothECE"], line["without EOS"], line["all classes"]) == ("", "", "")  # of an earlier version
    assert float(line["p"]) > 0.1
    assert estimators.table(study(rows[0])).cells[0][0] == "alpha 0.1"


def test_estimators_that_records_hold_are_means_and_p_is_the_greatest():
    """Two seeds, one as wrong as can be and one calibrated: p is that of the calibrated one."""
    right, wrong = Bins.of([0.5] * 100, [0, 1] * 50), Bins.of([0.9] * 100, [0, 1] * 50)
    by_class = [{"others": right, "eos": wrong}, {"others": wrong, "eos": right}]
    rows = [
        row(seed=seed, bins=bins, smooth_ece=0.1 * seed, bins_by_class=classes, bins_full=bins)
        for seed, bins, classes in ((1, right, by_class[0]), (2, wrong, by_class[1]))
    ]
    table = estimators.table(study(*rows))
    (line,) = (dict(zip(table.header, cells, strict=True)) for cells in table.cells)
    assert (line["ECE"], line["over"], line["under"]) == ("0.2000", "0.2000", "0.0000")
    assert (line["SmoothECE"], line["without EOS"], line["all classes"]) == ("0.1500", "0.2000", "0.2000")
    assert float(line["p"]) > 0.5 and estimators.table(study(rows[1])).cells[0][-1] == "0.0005"
    of_images = estimators.table(study(row(mode="images", smooth_ece=0.1)))
    assert not {"without EOS", "all classes"} & set(of_images.header) and of_images.cells[0][6] == "0.1000"


def _cells_of_runs(n_runs, rng):
    """Rows of runs at four temperatures. NLL goes with BLEU, forced ECE does not."""
    rows, cells = [], []
    for seed in range(n_runs):
        for temperature in (0.8, 1.0, 1.2, 1.4):
            nll = float(rng.normal(2, 0.3))
            score, hits = 40 - 5 * nll + float(rng.normal(0, 0.5)), int(rng.integers(50, 100))
            of = {"seed": seed, "temperature": temperature, "split": "test"}
            forced = {"bins": Bins.of([0.9] * 100, np.arange(100) < hits), "nll": nll, "perplexity": np.exp(nll)}
            bleu = {"score": score, "signature": "x"}
            rows += [row(**of, **forced), row(**of, mode="beam", beam=5, lenpen=1.0, bleu=bleu)]
            cells.append((forced["bins"].ece(), nll, score))
    return rows, np.array(cells).T


def test_correlations_with_bleu_are_scipys():
    rows, (ece, nll, score) = _cells_of_runs(6, np.random.default_rng(0))
    rows.append(row(seed=1, temperature=3.0, nll=9.0))  # has no search
    rows.append(row(seed=1, mode="beam", beam=50, lenpen=1.0, bleu={"score": 0.0, "signature": "x"}))  # another one
    lines = {line[0]: line for line in correlations.table(study(*rows), draws=50).cells}
    for name, values in (("forced ECE", ece), ("NLL", nll), ("perplexity", np.exp(nll))):
        expected = stats.pearsonr(values, score).statistic, stats.spearmanr(values, score).statistic
        assert lines[name][:3] == [name, "24", "6"]
        assert [lines[name][3], lines[name][5]] == [f"{value:+.2f}" for value in expected]
    assert lines["beam ECE"][3:] == ["", "", "", ""]  # the same in all cells: no correlation
    low, high = map(float, lines["NLL"][4].split(" to "))
    assert -1 < low < float(lines["NLL"][3]) < high < -0.3


def test_the_interval_of_a_correlation_resamples_whole_runs():
    """Against scipy on the cells of the drawn runs themselves, with ties among them."""
    rng = np.random.default_rng(1)
    run = np.repeat(np.arange(5), [3, 4, 2, 5, 4])
    x, y = np.round(rng.normal(size=(2, 18)) + 0.5 * run, 1)
    pearson, spearman = correlations.correlations(x, y, run, draws=40)
    drawn = []
    for counts in significance.resamples(5, 40)[1:]:
        cells = np.concatenate([np.flatnonzero(run == r) for r in range(5) for _ in range(int(counts[r]))])
        drawn.append([stats.pearsonr(x[cells], y[cells])[0], stats.spearmanr(x[cells], y[cells])[0]])
    quantiles = np.quantile(drawn, [0.025, 0.975], axis=0).T
    np.testing.assert_allclose(pearson, [stats.pearsonr(x, y)[0], *quantiles[0]])
    np.testing.assert_allclose(spearman, [stats.spearmanr(x, y)[0], *quantiles[1]])


def test_few_runs_have_no_interval_and_one_run_no_correlation():
    rows, _ = _cells_of_runs(2, np.random.default_rng(2))
    lines = correlations.table(study(*rows), draws=20).cells
    assert [line[2] for line in lines] == ["2"] * 4 and not any(line[4] or line[6] for line in lines)
    assert correlations.table(study(*rows[:8])).cells == [] == correlations.table(study(*rows[::2])).cells


def test_gains_of_a_temperature_are_differences_of_the_records(made):
    lines = {(line[0], line[1], line[3]): line for line in temperatures.table(made, draws=200).cells}
    assert len(lines) == 10
    forced = select(made.rows, split="test", mode="forced", amount=0.0)
    (before,), (after,) = select(forced, temperature=1.0), at_fitted(forced)
    _, _, temperature, _, at_one, there, gain, spread = lines["toy_a0.0_s1", "forced ECE", "likelihood"]
    assert temperature == "1.20"
    assert at_one == f"{before.record.bins.ece():.4f}" and there == f"{after.record.bins.ece():.4f}"
    without_bias = [ECE.resampled(row, 200)[0] for row in (before, after)]
    assert float(gain) == pytest.approx(without_bias[0] - without_bias[1], abs=1e-4)
    low, high = map(float, spread.split(" to "))
    assert low < float(gain) < high and high - low < 0.2


def test_without_another_temperature_there_is_the_value_alone_or_no_table(made):
    of_test = select(made.rows, split="test", mode="beam")
    at_one = select(of_test, temperature=1.0, amount=0.1)
    cells = temperatures.table(Study([*select(of_test, amount=0.0), *at_one]), draws=20).cells
    lines = {line[1]: line for line in cells if line[0] == "toy_a0.1_s1"}
    assert (
        lines["beam ECE"][2:] == ["", "", f"{at_one[0].record.bins.ece():.4f}", "", "", ""] and lines["BLEU"][2] == ""
    )
    assert temperatures.table(Study(at_one), draws=20).cells == []


def test_geometry_names_the_architecture():
    values = dict.fromkeys(geometry.FIELDS, 0.5)
    of = [row(mode="activations", split=split, architecture="tiny", geometry=values) for split in ("train", "valid")]
    cells = geometry.table(study(*of)).cells
    assert [line[:3] for line in cells] == [["tiny, alpha 0.1", split, "0.500"] for split in ("train", "valid")]


def test_geometry_of_old_records_has_the_ratio_and_empty_cells():
    """A column that one record has is empty for the others; one that none has is left out. Numbers are means of seeds,
    and so is the ratio, not the ratio of means."""
    old = {"variance_within": 3.0, "variance_between": 2.0, "nc1": 0.25}
    seeds = [
        row(0.0, mode="activations", split="train", seed=seed, geometry={**old, "variance_between": between})
        for seed, between in ((1, 2.0), (2, 6.0))
    ]
    new = row(0.1, mode="activations", split="train", geometry={**old, "class_separation": 0.9})
    only_old, both = geometry.table(study(*seeds)), geometry.table(study(*seeds, new))
    assert [*only_old.header] == ["model", "split", "within", "between", "within / between", "NC1"]
    assert [line[2:] for line in only_old.cells] == [["3.000", "4.000", "1.000", "0.250"]]
    assert [*both.header[-2:]] == ["NC1", "separation"]
    assert [line[4:] for line in both.cells] == [["1.000", "0.250", ""], ["1.500", "0.250", "0.900"]]
    collapsed = {**old, "variance_between": 0.0}
    assert geometry.trace_ratio({"variance_within": 1.0}) is geometry.trace_ratio(collapsed) is None


def test_a_table_without_a_line_is_not_shown(made):
    assert [one.name for one in tables(made)] == [
        "main",
        "table_3",
        "estimators",
        "temperatures",
        "selective",
        "correlations",
        "token_classes",
    ]


def test_an_ece_of_items_is_that_of_the_record(made):
    for of in select(made.rows, mode="forced"):
        np.testing.assert_allclose(of.items.bins.sum(0)[2], of.record.bins.hits)
    assert item_bins([0.2, 1.0], [1, 0], [0, 1], 2)[1, 0, 14] == 1


def test_a_missing_cell_is_empty_and_numbers_are_not_touched():
    cells = [["a", "", "1.230"], ["long name", "x", ""]]
    assert text(("", "one", "two"), cells).splitlines() == [
        "           one    two",
        "a               1.230",
        "long name    x",
    ]
    assert Table("name", "title", "how", ("", "one", "two"), cells).text() == text(("", "one", "two"), cells)


def test_markdown_has_a_line_a_row():
    lines = markdown(("claim", "ours"), [["1. x", "0.10"]]).splitlines()
    assert [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[::2]] == [
        ["claim", "ours"],
        ["1. x", "0.10"],
    ]


def _row(**changes):
    row = {
        "benchmark": "criterion",
        "case": "N = 5",
        "against": "stock",
        "ratio": 0.5,
        "ratio_min": 0.4,
        "ratio_max": 0.6,
        "mt_ls": 0.01234,
        "baseline": 12345.6,
        "unit": "s",
        "target": "<= 0.50",
        "device": "a processor",
    }
    return {**row, **changes}


def test_a_row_has_its_ratio_with_extremes_its_target_and_both_values():
    *_, line = benchmarks.table([_row()]).splitlines()
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells == [
        "criterion",
        "N = 5",
        "stock",
        "0.500 (0.400 to 0.600)",
        "<= 0.50: reached",
        "0.0123",
        "12,346",
        "s",
    ]


@pytest.mark.parametrize(
    ("ratio", "target", "cell"),
    [
        (0.51, "<= 0.50", "<= 0.50: missed"),
        (1.35, ">= 1.35", ">= 1.35: reached"),
        (1.34, ">= 1.35", ">= 1.35: missed"),
        (1.0, None, ""),
    ],
)
def test_a_target_is_reached_or_missed(ratio, target, cell):
    *_, line = benchmarks.table([_row(ratio=ratio, target=target)]).splitlines()
    assert line.split("|")[5].strip() == cell


def test_one_measurement_has_no_extremes():
    *_, line = benchmarks.table([_row(ratio_min=0.5, ratio_max=0.5)]).splitlines()
    assert line.split("|")[4].strip() == "0.500"


def test_growth_is_not_in_the_page_but_on_the_terminal():
    rows = [_row(), _row(benchmark="growth", case="N = 7")]
    assert "N = 7" not in benchmarks.table(rows) and "N = 7" in benchmarks.plain(rows)


def test_rows_of_a_gpu_and_of_cpus_are_apart():
    rows = [_row(), _row(device="a card", gpu=True, case="N = 6"), _row(device="another processor")]
    of_cpu, of_gpu = benchmarks.table(rows), benchmarks.table(rows, "gpu")
    assert of_cpu.startswith("Measured on: a processor; another processor.\n\n") and "N = 6" not in of_cpu
    assert of_gpu.startswith("Measured on: a card.\n\n") and "N = 5" not in of_gpu
    assert benchmarks.table(rows[:1], "gpu") == "No benchmark was run on a GPU."


def test_new_rows_replace_those_of_the_same_benchmark_and_kind_of_device():
    old = [_row(case=f"old {gpu}", gpu=gpu) for gpu in (False, True)] + [_row(benchmark="bins", case="old bins")]
    new = [_row(case="new", gpu=True, device="another card")]
    assert [row["case"] for row in benchmarks.replaced(old, new)] == ["old False", "old bins", "new"]


def test_results_that_are_not_there_are_none(tmp_path):
    assert benchmarks.results(tmp_path / "benchmarks.json") == []


def test_accuracies_have_means_and_intervals_over_seeds(tmp_path):
    rows = load([write_world(tmp_path, True)])
    lines = {line[0]: line for line in accuracy.table(Study(rows)).cells}
    assert lines["mlp_1200, alpha 0.1"][3] == "3" and " to " in lines["mlp_1200, alpha 0.1"][2]
    on_valid = [
        one.record.bins.accuracy
        for one in rows
        if (one.record.mode, one.record.split, one.record.temperature) == ("images", "valid", 1.0)
        and one.record.run.startswith("teacher_0.1")
    ]
    assert len(on_valid) == 3 and lines["mlp_1200, alpha 0.1"][6] == f"{100 * mean(on_valid):.2f}"
    assert accuracy.over_seeds([0.5, 0.5, 0.5]) == ("50.00", "50.00 to 50.00")
    assert accuracy.over_seeds([0.25]) == ("25.00", "")


def test_two_precisions_are_two_lines():
    rows = [row(0.1, mode="images", architecture="a", run=f"r{p}", precision=p, accuracy=0.5) for p in (None, "bf16")]
    assert [line[0] for line in accuracy.table(study(*rows)).cells] == ["a, alpha 0.1, float32", "a, alpha 0.1, bf16"]


@pytest.mark.parametrize(("chosen_on", "fitted_on"), [("valid", None), ("valid", "valid"), ("dev", "dev")])
def test_the_alpha_of_table_3_is_the_one_that_valid_chose(chosen_on, fitted_on):
    """Of alpha 0.1 and 0.3 valid prefers 0.3, though 0.1 is better on test."""

    def bins(gap):
        return Bins.from_sums(np.array([[100.0], [90.0 + 100 * gap], [90.0]]) * (np.arange(15) == 14))

    common = {"mode": "images", "architecture": "alexnet", "fitted_temperature": 2.0, "fitted_on": fitted_on}
    rows = [
        row(amount, split=split, temperature=t, bins=bins(gap), **common)
        for split, amount, t, gap in (
            ("test", 0.0, 1.0, 0.09),
            ("test", 0.0, 2.0, 0.03),
            (chosen_on, 0.1, 1.0, 0.02),
            (chosen_on, 0.3, 1.0, 0.01),
            ("test", 0.1, 1.0, 0.04),
            ("test", 0.3, 1.0, 0.05),
        )
    ]
    table = calibration.table(study(*rows))
    assert table.cells[-1] == ["alexnet", "0.0900", "0.0300 / 2.00", "0.0500 / 0.3"]
    assert f"alpha is chosen on {chosen_on}." in table.how


def test_teachers_and_students_are_in_one_table():
    """Labels first, then temperatures in the order of numbers; the paper's error where there is one."""

    def network(architecture, accuracy, amount=0.0, teacher=None, run="r"):
        of = record(
            amount,
            mode="images",
            architecture=architecture,
            accuracy=accuracy,
            corpus="mnist",
            run=run,
            teacher=teacher,
            teacher_run=teacher and teacher_run(None),
        )
        return Row(of, None)

    rows = [
        *(
            network("mlp_800", 0.9, teacher=taught_by("mlp_1200_dropout", 0.0, t, beta=0.6), run=f"s{t}")
            for t in (None, 12.0, 2.0)
        ),
        network("mlp_1200", 0.99, amount=0.1),
        network("mlp_1200_dropout", 0.98),
    ]
    assert [(*line[:4], line[5], line[8]) for line in teaching.table(study(*rows)).cells] == [
        ("mlp_1200", "labels, alpha 0.1", "", "", "1.00", "0.59"),
        ("mlp_1200_dropout", "labels", "", "", "2.00", "0.67"),
        ("mlp_800", "mlp_1200_dropout, alpha 0", "0.6", "2", "10.00", ""),
        ("mlp_800", "mlp_1200_dropout, alpha 0", "0.6", "12", "10.00", ""),
        ("mlp_800", "mlp_1200_dropout, alpha 0", "0.6", "logits", "10.00", "0.74"),
    ]
    assert teaching.table(study(*rows[3:])).cells == []


def test_a_study_of_images_has_its_own_tables(tmp_path):
    names = [table.name for table in tables(Study(load([write_world(tmp_path, True, seeds=(1,))])))]
    assert names == ["accuracy", "calibration", "estimators", "selective", "teaching", "geometry"]
