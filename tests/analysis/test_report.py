"""The report from records: whole, self-contained, and open about what is missing."""

import re
import sys

import pytest
from builders import measurement, write_activations, write_records
from conftest import run

from analysis import rows as table
from analysis.report import slider as explorer
from mt_ls.records.record import append


def _report(*arguments):
    return run([sys.executable, "-m", "analysis.report", *map(str, arguments)])


def test_report_is_whole_and_self_contained(tmp_path):
    write_records(tmp_path / "runs")
    write_activations(tmp_path / "runs")
    found = _report(tmp_path / "runs", "--out", tmp_path / "out")
    assert found.returncode == 0, found.stderr
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("<figure>") == 4 and "Nothing: every cell was measured" in page
    assert not re.search(r'(src|href)="(?!#)', page)
    for name in ("temperature", "reliability", "quality", "penultimate"):
        assert (tmp_path / "out" / "figures" / f"{name}.png").stat().st_size > 10_000
        mode = "penultimate" if name == "penultimate" else "forced"
        assert f"ECE|mode:{mode}" in (tmp_path / "out" / "figures" / f"{name}.svg").read_text()
    assert "21.0" in found.stdout and str(tmp_path / "out" / "report.html") in found.stdout


def test_what_comes_from_data_is_text_and_not_a_script(tmp_path):
    evil = "</script><script>alert(1)</script>"
    (tmp_path / "runs").mkdir()
    for alpha in (0.0, 0.1):
        sha = {"data": "d", "checkpoint": f"{alpha}", "code": evil}
        record = measurement(corpus=evil, run=f"{evil}{alpha}", alpha=alpha, versions={"mt_ls": evil}, sha=sha)
        append(tmp_path / "runs" / "records.jsonl", record)
    found = _report(tmp_path / "runs", "--out", tmp_path / "out")
    assert found.returncode == 0, found.stderr
    page = (tmp_path / "out" / "report.html").read_text()
    assert "alert(1)" in page and page.count("<script") == 2 and evil not in page


def test_the_slider_has_the_numbers_of_the_records_and_means_of_seeds(tmp_path):
    for seed, alpha in ((1, 0.0), (2, 0.0), (1, 0.1)):
        for temperature in (1.0, 1.0 + seed / 10):
            sha = {"data": "d", "checkpoint": f"{alpha}{seed}", "code": "e"}
            record = measurement(
                run=f"a{alpha}s{seed}", alpha=alpha, seed=seed, temperature=temperature, nll=seed + 1.0, sha=sha
            )
            append(tmp_path / "records.jsonl", record)
    found = explorer.data(table.load([tmp_path]))
    assert found["temperatures"] == [1.0, 1.1]  # 1.2 was measured for one seed of two
    hard, smooth = found["models"]
    assert (hard["name"], smooth["name"]) == ("α = 0", "α = 0.1")
    assert hard["at"][0]["nll"] == 2.5 and hard["at"][0]["count"] == [2, 2] and hard["at"][0]["bleu"] is None
    assert hard["at"][1] is None and smooth["at"][1]["nll"] == 2.0
    assert smooth["at"][0]["ece"] == pytest.approx(measurement().bins.ece())


def test_every_figure_is_told_in_words_and_verdicts_come_first(tmp_path):
    write_records(tmp_path / "runs")
    assert _report(tmp_path / "runs", "--out", tmp_path / "out").returncode == 0
    page = (tmp_path / "out" / "report.html").read_text()
    words = re.findall(r'class="drawing" role="img" aria-label="([^"]*)"', page)
    assert len(words) == 3 and all("Smoothing 0.1 at T = 1: forced ECE 0." in text for text in words)
    assert page.index("<h2>Verdicts</h2>") < page.index("<figure>") < page.index("<h2>Main table")
    assert page.count("<article") == 10 and "4. Smoothing raises BLEU at T = 1" in page


def test_what_was_not_measured_is_an_empty_cell_and_is_named(tmp_path):
    write_records(tmp_path / "runs", alphas=(0.1,), beam=False)
    found = _report(tmp_path / "runs", "--out", tmp_path / "out")
    assert found.returncode == 0, found.stderr
    page = (tmp_path / "out" / "report.html").read_text()
    assert "baseline ECE" in page.split("<h2>Missing</h2>")[1]
    assert "figure “Translation quality" in page
    for name in ("main", "table_3"):  # empty, and not 0
        assert "0.0" in (text := (tmp_path / "out" / "tables" / f"{name}.txt").read_text()) and "0.0000" not in text


@pytest.mark.parametrize(("make", "message"), [(False, "no such file or folder"), (True, "no record")])
def test_no_records_is_one_line(tmp_path, make, message):
    if make:
        (tmp_path / "runs").mkdir()
    found = _report(tmp_path / "runs", "--out", tmp_path / "out")
    assert found.returncode == 2 and message in found.stderr and len(found.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_page_is_given_the_tables_of_its_marks_and_the_figures_that_it_shows(tmp_path):
    write_records(tmp_path / "runs")
    page = tmp_path / "README.md"
    shown = "![BLEU](temperature.svg) ![elsewhere](other/reliability.svg)\n"
    page.write_text(f"{shown}<!-- main -->\nold\n<!-- end of main -->\nafter\n")
    assert _report(tmp_path / "runs", "--out", tmp_path / "out", "--into", page).returncode == 0
    main = (tmp_path / "out" / "tables" / "main.txt").read_text()
    assert page.read_text() == f"{shown}<!-- main -->\n```\n{main}```\n<!-- end of main -->\nafter\n"
    figure = (tmp_path / "out" / "figures" / "temperature.svg").read_bytes()
    assert [(one.name, one.read_bytes()) for one in tmp_path.glob("*.svg")] == [("temperature.svg", figure)]
    page.write_text("nothing here\n")
    found = _report(tmp_path / "runs", "--out", tmp_path / "out", "--into", page)
    assert found.returncode == 2 and "no marks of a table" in found.stderr and page.read_text() == "nothing here\n"
