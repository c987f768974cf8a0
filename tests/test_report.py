"""The report from records: whole, self-contained, and open about what is missing."""

import re
import sys

import pytest
from builders import write_records
from conftest import run


def _report(*arguments):
    return run([sys.executable, "-m", "analysis.report", *map(str, arguments)])


def test_report_is_whole_and_self_contained(tmp_path):
    write_records(tmp_path / "runs")
    found = _report(tmp_path / "runs", "--out", tmp_path / "out")
    assert found.returncode == 0, found.stderr
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("<svg") == 3 and "Nothing: every cell was measured" in page
    assert not re.search(r'(src|href)="(?!#)', page)
    for name in ("temperature", "reliability", "quality"):
        assert (tmp_path / "out" / "figures" / f"{name}.png").stat().st_size > 10_000
        assert "ECE|mode:forced" in (tmp_path / "out" / "figures" / f"{name}.svg").read_text()
    assert "21.0" in found.stdout and str(tmp_path / "out" / "report.html") in found.stdout


def test_what_was_not_measured_is_an_empty_cell_and_is_named(tmp_path):
    write_records(tmp_path / "runs", alphas=(0.1,), beam=False)
    found = _report(tmp_path / "runs", "--out", tmp_path / "out")
    assert found.returncode == 0, found.stderr
    page = (tmp_path / "out" / "report.html").read_text()
    assert "baseline ECE" in page.split("<h2>Missing</h2>")[1]
    assert "figure “Translation quality" in page
    assert "0.0000" not in found.stdout


@pytest.mark.parametrize(("make", "message"), [(False, "no such file or folder"), (True, "no record")])
def test_no_records_is_one_line(tmp_path, make, message):
    if make:
        (tmp_path / "runs").mkdir()
    found = _report(tmp_path / "runs", "--out", tmp_path / "out")
    assert found.returncode == 2 and message in found.stderr and len(found.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()
