"""Intervals of the reliability diagram, and what it draws."""

import numpy as np
import pytest
from builders import measurement, write_records

from analysis import rows as table
from analysis.figures import reliability
from mt_ls.calibration.bins import Bins


def test_wilson_interval():
    """8 of 10: [0.4902, 0.9433] (Newcombe 1998's method 3, as statsmodels gives it)."""
    low, high = reliability.wilson(np.array([8.0]), np.array([10.0]))
    assert low[0] == pytest.approx(0.4902, abs=2e-4) and high[0] == pytest.approx(0.9433, abs=2e-4)
    assert reliability.wilson(0.0, 715.0)[0] == 0.0 and reliability.wilson(211.0, 211.0)[1] == 1.0


def test_each_panel_draws_the_bins_of_its_record(tmp_path):
    write_records(tmp_path / "runs")
    rows = table.load([tmp_path / "runs"])
    fig = reliability.figure(rows)
    titles = [axis.get_title() for axis in fig.axes[:3]]
    assert [title.split("\n")[0] for title in titles] == ["hard targets", "hard + temperature", "label smoothing 0.1"]
    record = table.select(rows, alpha=0.0, split="test", mode="forced", temperature=1.0)[0].record
    confidence, accuracy, _ = record.bins.curve()
    drawn = next(line for line in fig.axes[0].lines if len(line.get_xdata()) == len(confidence))
    np.testing.assert_allclose(drawn.get_xdata(), confidence)
    np.testing.assert_allclose(drawn.get_ydata(), accuracy)
    assert f"ECE {record.bins.ece():.3f}" in titles[0]
    assert reliability.figure(table.select(rows, mode="beam")) is None


def test_each_network_has_its_line_of_panels():
    def row(network, alpha, **more):
        return table.Row(measurement(mode="images", network=network, alpha=alpha, **more), None)

    rows = [row("alexnet", 0.0), row("alexnet", 0.1), row("resnet_20", 0.0, fitted_temperature=1.0), row("mlp", 0.3)]
    fig = reliability.figure(rows, mode="images")
    titles = [axis.get_title().split("\n")[0] for axis in fig.axes if axis.axison]
    assert [title for title in titles if title] == [
        "alexnet, hard targets",
        "alexnet, label smoothing 0.1",
        "resnet_20, hard targets",
        "resnet_20, hard + temperature",
    ]
    assert {axis.get_ylabel() for axis in fig.axes} == {"accuracy", "images", ""}


def test_other_estimators_stand_beside_the_ece():
    """Bins of 10 at confidence 0.9 with 8 hits and of 30 at 0.5 with 15: gaps 0.1 and 0."""
    bins = Bins.of([0.9] * 10 + [0.5] * 30, [1] * 8 + [0] * 2 + [1] * 15 + [0] * 15)
    common = {"bins": bins, "bins_equal_mass": bins.equal_mass(1), "brier": 0.5, "split": "test", "alpha": 0.1}
    rows = [
        table.Row(measurement(temperature=t, fitted_temperature=1.5, network=network, **common), None)
        for network in ("tiny", "base")
        for t in (1.0, 1.5)
    ]
    cells = reliability.estimators(rows)
    assert [line[:2] for line in cells] == [
        ["base, alpha 0.1", "1"],
        ["base, alpha 0.1", "1.50"],
        ["tiny, alpha 0.1", "1"],
        ["tiny, alpha 0.1", "1.50"],
    ]
    # (0.01 - 0.16 / 9) * 10 / 40 - 0.25 / 29 * 30 / 40 is below 0
    assert cells[0][2:] == ["0.0250", "0.0250", "0.0000", "0.100", "0.5000"]
    assert reliability.estimators(rows[:1])[0][0] == "alpha 0.1"
