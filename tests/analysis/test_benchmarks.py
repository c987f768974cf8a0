"""The table of the benchmarks."""

import pytest

from analysis.tables import benchmarks


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


def test_results_that_are_not_there_are_none(tmp_path):
    assert benchmarks.results(tmp_path / "benchmarks.json") == []
