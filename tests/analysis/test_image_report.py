"""The report of image classifiers, from records alone."""

import numpy as np
import pytest
from builders import measurement
from test_vision_claims import _world

from analysis import rows as table
from analysis.figures import teaching as figures
from analysis.report import __main__ as report
from analysis.tables import images as tables
from data_prep.__main__ import main as prepare
from mt_ls.calibration.bins import Bins
from mt_ls.vision.__main__ import main as run


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Two real runs on tiny images, and a student of each."""
    folder = tmp_path_factory.mktemp("vision")
    assert prepare(["synthetic_images", "--out", str(folder / "data")]) == 0
    for alpha in (0.0, 0.1):
        name = folder / "runs" / f"teacher_{alpha}"
        common = [str(folder / "data"), "--network", "resnet_8", "--updates", "10", "--cpu"]
        assert (
            run(
                [
                    *common,
                    "--alpha",
                    str(alpha),
                    "--run",
                    str(name),
                    "--information",
                    "pattern 0",
                    "pattern 1",
                    "--planes",
                    "pattern 0;pattern 1;pattern 2",
                ]
            )
            == 0
        )
        assert (
            run(
                [
                    *common,
                    "--network",
                    "alexnet",
                    "--run",
                    str(folder / "runs" / f"student_{alpha}"),
                    "--teacher",
                    str(name),
                ]
            )
            == 0
        )
    return table.load([folder / "runs"])


def test_every_figure_and_table_stands_in_the_page(rows, tmp_path):
    text = report.write(rows, tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for name in ("penultimate", "reliability", "teaching", "information"):
        assert (tmp_path / "figures" / f"{name}.svg").exists()
    for title in ("Figure 1", "Figure 2", "Figure 5", "Figure 6", "Table 2", "Table 3", "Teachers and students"):
        assert title in page
    assert "17. Information about the input" in page and "BLEU and calibration against" not in page
    assert "resnet_8, alpha 0.1" in text
    assert "forced ECE" not in page and '<th scope="col">ECE</th><th scope="col">NLL, nats</th></tr>' in page


def test_the_curves_of_figure_5_hold_every_network(rows):
    found = figures.curves(rows)
    assert set(found) == {"teachers", figures.HARD, figures.AT_ONE}
    assert set(found["teachers"]) == {0.0, 0.1}
    (shared,) = found[figures.HARD]  # of the hard teacher at T = 1: both curves begin there
    ((gamma, accuracies),) = [point for point in found[figures.AT_ONE].items() if point[0] != shared]
    (student,) = [
        row
        for row in rows
        if row.record.run == "student_0.1" and row.record.temperature == 1 and row.record.split == "test"
    ]
    assert gamma == student.record.teacher["gamma"]
    assert accuracies == [student.record.accuracy] and len(found[figures.AT_ONE]) == 2


def test_tables_give_means_and_intervals_over_seeds(tmp_path):
    rows = table.load([_world(tmp_path / "runs", True)])
    lines = {line[0]: line for line in tables.accuracy(rows)}
    assert lines["mlp_1200, alpha 0.1"][3] == "3" and " to " in lines["mlp_1200, alpha 0.1"][2]
    on_valid = [row.record.bins.accuracy for row in tables.untaught(rows, "valid") if row.record.alpha == 0.1]
    assert len(on_valid) == 3 and lines["mlp_1200, alpha 0.1"][6] == f"{100 * np.mean(on_valid):.2f}"
    assert tables.over_seeds([0.5, 0.5, 0.5]) == ("50.00", "50.00 to 50.00")
    assert tables.over_seeds([0.25]) == ("25.00", "")


def test_the_alpha_of_table_3_is_the_one_that_valid_chose():
    """Of alpha 0.1 and 0.3 valid prefers 0.3, though 0.1 is better on test."""

    def bins(gap):
        return Bins.from_sums(np.array([[100.0], [90.0 + 100 * gap], [90.0]]) * (np.arange(15) == 14))

    rows = [
        table.Row(
            measurement(
                mode="images",
                network="alexnet",
                split=split,
                alpha=alpha,
                temperature=t,
                bins=bins(gap),
                fitted_temperature=2.0,
            ),
            None,
        )
        for split, alpha, t, gap in (
            ("test", 0.0, 1.0, 0.09),
            ("test", 0.0, 2.0, 0.03),
            ("valid", 0.1, 1.0, 0.02),
            ("valid", 0.3, 1.0, 0.01),
            ("test", 0.1, 1.0, 0.04),
            ("test", 0.3, 1.0, 0.05),
        )
    ]
    assert tables.calibration(rows)[-1] == ["alexnet", "0.0900", "0.0300 / 2.00", "0.0500 / 0.3"]


def test_smoothed_teachers_stand_at_the_temperature_that_valid_chose():
    """Of T = 2 and 4 valid prefers 4, though 2 is better on test; gammas of two seeds are averaged."""
    rows = [
        table.Row(
            measurement(
                mode="images",
                network="alexnet",
                split=split,
                seed=seed,
                accuracy=accuracy,
                alpha=0.0,
                teacher={"network": "resnet_8", "alpha": 0.1, "temperature": t, "gamma": t / 10 + seed / 100},
            ),
            None,
        )
        for split, t, accuracy in (
            ("valid", 1.0, 0.9),
            ("valid", 2.0, 0.5),
            ("valid", 4.0, 0.6),
            ("test", 1.0, 0.8),
            ("test", 2.0, 0.7),
            ("test", 4.0, 0.4),
        )
        for seed in (1, 2)
    ]
    found = figures.curves(rows)
    assert {name: [*points.values()] for name, points in found.items()} == {
        figures.AT_ONE: [[0.8, 0.8]],
        figures.AT_BEST: [[0.4, 0.4]],
    }
    assert [*found[figures.AT_ONE], *found[figures.AT_BEST]] == pytest.approx([0.115, 0.415])


def test_teachers_and_students_stand_in_one_table():
    """Labels first, then temperatures in the order of numbers; the paper's error where there is one."""

    def made(network, accuracy, alpha=0.0, teacher=None):
        record = measurement(
            mode="images",
            split="test",
            network=network,
            accuracy=accuracy,
            alpha=alpha,
            corpus="mnist",
            teacher=teacher,
        )
        return table.Row(record, None)

    teacher = {"network": "mlp_1200_dropout", "alpha": 0.0, "gamma": None, "beta": 0.6}
    rows = [
        *(made("mlp_800", 0.9, teacher={**teacher, "temperature": t}) for t in (None, 12.0, 2.0)),
        made("mlp_1200", 0.99, alpha=0.1),
        made("mlp_1200_dropout", 0.98),
    ]
    assert [(*line[:4], line[5], line[8]) for line in tables.teaching(rows)] == [
        ("mlp_1200", "labels, alpha 0.1", "", "", "1.00", "0.59"),
        ("mlp_1200_dropout", "labels", "", "", "2.00", "0.67"),
        ("mlp_800", "mlp_1200_dropout, alpha 0", "0.6", "2", "10.00", ""),
        ("mlp_800", "mlp_1200_dropout, alpha 0", "0.6", "12", "10.00", ""),
        ("mlp_800", "mlp_1200_dropout, alpha 0", "0.6", "logits", "10.00", "0.74"),
    ]
    assert tables.teaching(rows[3:]) == []
