"""The report from records: whole, self-contained, and open about what is missing; its slider."""

import contextlib
import io
import json
import re
import sys

import pytest
from builders import record, row, study, taught_by, write, write_activations, write_records, write_world
from msgspec.structs import replace

from analysis.report import slider
from analysis.report.__main__ import main
from analysis.report.page import write as write_report
from analysis.rows import load, select
from analysis.study import Study
from mt_ls.records import Model


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    write_records(folder)
    write_activations(folder)
    return folder


@pytest.fixture(scope="module")
def report(runs, tmp_path_factory):
    """(The folder of the report of these runs, what the terminal shows.)"""
    folder, shown = tmp_path_factory.mktemp("report"), io.StringIO()
    with contextlib.redirect_stdout(shown):
        assert main([str(runs), "--out", str(folder)]) == 0
    return folder, shown.getvalue()


def test_the_report_is_whole_and_self_contained(report):
    folder, shown = report
    page = (folder / "report.html").read_text()
    assert page.count("<figure>") == 5 and "Nothing: every cell was measured" in page
    assert not re.search(r'(src|href)="(?!#)', page)
    modes = {"temperature": "forced", "reliability": "forced", "ece_bleu": "forced", "selective": "beam"}
    for name, mode in {**modes, "penultimate": "activations"}.items():
        assert (folder / "figures" / f"{name}.png").stat().st_size > 10_000
        assert f"ECE|mode:{mode}" in (folder / "figures" / f"{name}.svg").read_text()
    assert "21.0" in shown and str(folder / "report.html") in shown
    assert (folder / "tables" / "main.txt").read_text().strip() in shown


def test_every_figure_is_described_and_verdicts_come_first(report):
    folder, _ = report
    page = (folder / "report.html").read_text()
    words = re.findall(r'class="drawing" role="img" aria-label="([^"]*)"', page)
    assert len(words) == 5 and all("alpha 0.1 at T = 1: forced ECE 0." in text for text in words)
    assert page.index("<h2>Verdicts</h2>") < page.index("<figure>") < page.index("<h2>Main table")
    assert page.count("<article") == 11 and "4. Smoothing raises BLEU at T = 1" in page


def test_an_audit_shows_each_run_by_its_name_and_no_claims(tmp_path):
    """Two checkpoints of one's own, both trained with smoothing 0.1 and seed 1."""
    for name, nll in (("mine", 1.0), ("yours", 3.0)):
        for t in (1.0, 1.2):
            write(tmp_path / "runs", record(0.1, run=name, temperature=t, nll=nll))
    assert main([str(tmp_path / "runs"), "--by", "run", "--out", str(tmp_path / "out")]) == 0
    page = (tmp_path / "out" / "report.html").read_text()
    table = (tmp_path / "out" / "tables" / "main.txt").read_text()
    assert re.search(r"^mine +1 +1 +1\.000", table, re.M) and re.search(r"^yours +1 +1 +3\.000", table, re.M)
    assert '"name": "mine"' in page and '"name": "yours"' in page
    assert "Verdicts" not in page and "<h1>Audit" in page


def test_an_audit_begins_with_a_sentence_a_run_and_shows_every_run_in_the_diagram(tmp_path, capsys):
    write_records(tmp_path / "runs")
    assert main([str(tmp_path / "runs"), "--by", "run", "--out", str(tmp_path / "out")]) == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<title>Audit of toy_a0.0_s1, toy_a0.1_s1</title>" in page
    marks = (
        "<b>toy_a0.1_s1</b>: <strong>",
        'aria-label="Reliability of',
        'id="explorer"',
        "<h2>Main table on test</h2>",
    )
    places = [page.index(mark) for mark in marks]
    assert places == sorted(places)
    for word in ("the paper", "Paper:", "Missing", "Verdicts", "Table 3"):
        assert word not in page.partition("<body>")[2].partition("<footer>")[0], word
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("toy_a0.0_s1: ") and lines[1].startswith("toy_a0.1_s1: ")
    assert lines[3] == "Main table on test"
    assert "Other estimators" in page and not any("equal mass" in line for line in lines)


def test_the_report_is_of_the_split_that_was_measured(tmp_path):
    """None is called test."""
    write_records(tmp_path / "runs", splits=("valid", "test1"))
    for by in ("model", "run"):
        write_report(Study(load([tmp_path / "runs"]), by), tmp_path / by)
        page = (tmp_path / by / "report.html").read_text()
        headings = re.findall("<h2>(.*)</h2>", page)
        for title in ("Main table", "What a temperature gains", "Other estimators of forced calibration"):
            assert f"{title} on test1" in headings
        assert any(heading.startswith("Reliability of next-token predictions on test1") for heading in headings)
        assert "not measured: runs" not in page
        assert (tmp_path / by / "tables" / "main.txt").read_text().count("21.0") == 2


def test_several_splits_have_headings_on_the_terminal_and_no_table_twice(tmp_path):
    write_records(tmp_path / "runs", splits=("valid", "test1", "test2"), beam=False)
    write_activations(tmp_path / "runs")
    lines = write_report(Study(load([tmp_path / "runs"])), tmp_path / "out").splitlines()
    for line in ("Main table on test1", "Main table on test2"):
        assert lines.count(line) == 1, line
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("paper, En-De Transformer") == 1
    missing = page.split("<h2>Missing</h2>")[1]
    for split in ("test1", "test2"):
        assert missing.count(f"<li>alpha 0.1, T 1: BLEU on {split}</li>") == 1
    assert missing.count("BLEU and perplexity against ECE") == 1


def test_several_splits_stand_side_by_side(tmp_path):
    write_records(tmp_path / "runs", splits=("valid", "test1", "test2"))
    study = Study(load([tmp_path / "runs"]), "run")
    write_report(study, tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    assert re.search(r"<h2>Main table</h2>.*<h3>test1</h3>.*<h3>test2</h3>", page, re.S)
    assert page.count("<figure><h3>test1</h3>") == page.count("<figure><h3>test2</h3>") >= 2
    assert '"name": "toy_a0.0_s1, test1"' in page and '"name": "toy_a0.0_s1, test2"' in page
    assert " On test1: " in page and " On test2: " in page
    files = {path.name for path in (tmp_path / "out").rglob("*.*")}
    assert {"main_test1.txt", "main_test2.txt", "reliability_test1.svg", "reliability_test2.svg"} <= files
    only = ["--by", "run", "--split", "test2", "--out", str(tmp_path / "one")]
    assert main([str(tmp_path / "runs"), *only]) == 0
    assert "test1" not in (tmp_path / "one" / "report.html").read_text().partition("<footer>")[0]


def test_a_split_that_cannot_be_reported_is_one_line(tmp_path, capsys):
    write_records(tmp_path / "runs")
    for split in ("valid", "test9"):
        assert main([str(tmp_path / "runs"), "--split", split, "--out", str(tmp_path / "out")]) == 2
        assert f"no report on split '{split}': choose one of test" in capsys.readouterr().err
    write_records(tmp_path / "of valid", splits=("valid",))
    assert main([str(tmp_path / "of valid"), "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "temperatures were fitted on valid, and no other split was measured" in line
    assert not (tmp_path / "out").exists()


def test_an_audit_of_text_has_what_text_can_give(tmp_path):
    write_records(tmp_path / "all", amounts=(0.1,))
    (of,) = select(load([tmp_path / "all"]), mode="beam", split="test", temperature=1.0)
    text = {"run": "system", "model": Model(corpus="references"), "seed": None, "unit": "word"}
    changed = replace(of.record, **text, fitted_temperature=None, fitted_on=None)
    write(tmp_path / "runs", changed, bins=of.items.bins, bleu=of.items.bleu.astype("i4"), text=of.items.text)
    write_report(Study(load([tmp_path / "runs"]), "run"), tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    headings = re.findall("<h2>(.*)</h2>", page)
    assert headings[:2] == ["Reliability of translations on test", "Move the temperature"]
    assert "Main table on test" in headings and "Beam calibration by token class at T = 1 on test" in headings
    assert "Missing" not in page and "<strong>a temperature needs the model</strong>" in page
    body = page.partition("Main table on test")[2].partition("</table>")[0]
    assert "floor" in body and "95 %" in body and "–" not in body


def test_an_audit_of_students_shows_them(tmp_path):
    for name, teacher in (("teacher", None), ("student", taught_by("resnet", 0.0, 1.0))):
        of = record(0.0, run=name, mode="images", architecture=name, teacher=teacher, fitted_temperature=1.0)
        write(tmp_path / "runs", of)
    assert main([str(tmp_path / "runs"), "--by", "run", "--out", str(tmp_path / "out")]) == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert '"name": "student"' in page and ">student</text>" in page


def test_two_checkpoints_of_one_seed_are_one_line_of_error(tmp_path, capsys):
    for name in ("mine", "yours"):
        write(tmp_path / "runs", record(0.1, run=name))
    assert main([str(tmp_path / "runs"), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "runs mine and yours" in error and len(error.splitlines()) == 1 and not (tmp_path / "out").exists()


def test_what_comes_from_data_is_text_and_not_a_script(tmp_path):
    evil = "</script><script>alert(1)</script>"
    for amount in (0.0, 0.1):
        sha = {"data": "d", "checkpoint": f"{amount}", "code": evil}
        of = record(amount, corpus=evil, run=f"{evil}{amount}", versions={"mt_ls": evil}, sha=sha)
        write(tmp_path / "runs", of)
    for by in ("model", "run"):
        write_report(Study(load([tmp_path / "runs"]), by), tmp_path / by)
        page = (tmp_path / by / "report.html").read_text()
        assert "alert(1)" in page and page.count("<script") == 2 and evil not in page


def test_what_was_not_measured_is_an_empty_cell_and_is_named(tmp_path):
    write_records(tmp_path / "runs", amounts=(0.1,), beam=False)
    write_report(Study(load([tmp_path / "runs"])), tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    missing = page.split("<h2>Missing</h2>")[1]
    assert "alpha 0.1, T 1: BLEU" in missing and "figure “BLEU and perplexity against ECE”" in missing
    table = (tmp_path / "out" / "tables" / "main.txt").read_text()
    assert "0.0" in table and not re.search(r"\s0\.0+\s", table)  # empty, and not 0


@pytest.mark.parametrize(("make", "message"), [(False, "no such file or folder"), (True, "no record")])
def test_no_records_is_one_line(tmp_path, capsys, make, message):
    if make:
        (tmp_path / "runs").mkdir()
    assert main([str(tmp_path / "runs"), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1 and not (tmp_path / "out").exists()


def test_the_report_of_images_has_the_papers_figures(tmp_path):
    text = write_report(Study(load([write_world(tmp_path / "runs", True)])), tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    for title in ("Figure 2", "Figure 6", "Table 2", "Table 3", "Teachers and students"):
        assert title in page
    assert "17. Information about the input" in page and "BLEU and calibration against" not in page
    assert "mlp_1200, alpha 0.1" in text
    assert "forced ECE" not in page and '<th scope="col">ECE</th><th scope="col">NLL, nats</th></tr>' in page


def test_reading_records_loads_no_torch():
    """Of this process: the reports above were made without it."""
    import subprocess

    code = "import sys, analysis.report.page, analysis.claims, analysis.pages; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert row().record.mode == "forced"


def test_the_slider_has_the_numbers_of_the_records_and_means_of_seeds(tmp_path):
    for seed, amount in ((1, 0.0), (2, 0.0), (1, 0.1)):
        for temperature in (1.0, 1.0 + seed / 10):
            write(tmp_path, record(amount, seed=seed, temperature=temperature, nll=seed + 1.0))
    data = slider.data([Study(load([tmp_path]))])
    assert data["temperatures"] == [1.0, 1.1]  # 1.2 was measured for one seed of two
    hard, smoothed = data["models"]
    assert (hard["name"], smoothed["name"]) == ("α = 0", "α = 0.1")
    assert hard["at"][0]["nll"] == 2.5 and hard["at"][0]["count"] == [1, 1] and hard["at"][0]["bleu"] is None
    assert hard["at"][1] is None and smoothed["at"][1]["nll"] == 2.0
    assert smoothed["at"][0]["ece"] == pytest.approx(record().bins.ece())


def test_two_models_of_one_alpha_move_apart():
    rows = [row(0.1, run=name, nll=nll) for name, nll in (("mine", 1.0), ("yours", 3.0))]
    data = slider.data([study(*rows, by="run")])
    assert [(model["name"], model["at"][0]["nll"]) for model in data["models"]] == [("mine", 1.0), ("yours", 3.0)]


def test_of_images_the_last_pair_is_shown(tmp_path):
    data = slider.data([Study(load([write_world(tmp_path, True)]))])
    assert [model["name"] for model in data["models"]] == ["mlp_1200, α = 0", "mlp_1200, α = 0.1"]
    assert [column["name"] for column in data["columns"]] == ["ECE", "NLL, nats"]
    assert data["temperatures"] == [1.0, 2.0]


def test_no_text_can_end_the_script():
    text = slider.embedded({"name": "</script>"})
    assert "<" not in text and json.loads(text) == {"name": "</script>"}
