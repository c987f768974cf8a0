"""The tables of image classifiers, from made-up records."""

import numpy as np
from builders import record, row, study, taught_by, teacher_run, write_world

from analysis.rows import Row, load, mean
from analysis.study import Study
from analysis.tables import accuracy, calibration, tables, teaching
from mt_ls.calibration.bins import Bins


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


def test_the_alpha_of_table_3_is_the_one_that_valid_chose():
    """Of alpha 0.1 and 0.3 valid prefers 0.3, though 0.1 is better on test."""

    def bins(gap):
        return Bins.from_sums(np.array([[100.0], [90.0 + 100 * gap], [90.0]]) * (np.arange(15) == 14))

    common = {"mode": "images", "architecture": "alexnet", "fitted_temperature": 2.0}
    rows = [
        row(amount, split=split, temperature=t, bins=bins(gap), **common)
        for split, amount, t, gap in (
            ("test", 0.0, 1.0, 0.09),
            ("test", 0.0, 2.0, 0.03),
            ("valid", 0.1, 1.0, 0.02),
            ("valid", 0.3, 1.0, 0.01),
            ("test", 0.1, 1.0, 0.04),
            ("test", 0.3, 1.0, 0.05),
        )
    ]
    assert calibration.table(study(*rows)).cells[-1] == ["alexnet", "0.0900", "0.0300 / 2.00", "0.0500 / 0.3"]


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
    assert names == ["accuracy", "calibration", "estimators", "teaching", "geometry"]
