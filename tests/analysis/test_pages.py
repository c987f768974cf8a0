"""Generated blocks and figures of pages: written, verified, and refused where they are of nothing."""

import json

import pytest
from builders import write_records, write_world

from analysis import pages, publish
from analysis.rows import load
from analysis.tables import tables

PAGE = """![curves](published/temperature.svg)
<!-- main of toy -->
old
<!-- end of main of toy -->
after
<!-- claims of toy -->
<!-- end of claims of toy -->
"""


@pytest.fixture
def root(tmp_path):
    """A repository with one recipe and its page."""
    write_records(tmp_path / "runs")
    publish.publish(load([tmp_path / "runs"]), tmp_path / "recipes" / "toy" / "published")
    (tmp_path / "README.md").write_text("No block.\n")
    (tmp_path / "recipes" / "toy" / "README.md").write_text(PAGE)
    return tmp_path


def run(root, *options):
    return pages.main([*options, "--root", str(root)])


def test_stale_blocks_and_figures_are_named_and_then_written(root, capsys):
    page = root / "recipes" / "toy" / "README.md"
    assert run(root, "--check") == 1
    out = capsys.readouterr().out
    for name in ("main of toy: stale", "claims of toy: stale", "recipes/toy/published/temperature.svg: stale"):
        assert name in out
    assert page.read_text() == PAGE
    assert run(root) == 0
    (main,) = [one.text() for one in tables(pages.published(page.parent / "published").study) if one.name == "main"]
    text = page.read_text()
    assert f"<!-- main of toy -->\n```\n{main}\n```\n<!-- end of main of toy -->\nafter\n" in text
    assert text.count("| **1. Without smoothing") == 1
    assert (page.parent / "published" / "temperature.svg").is_file()
    capsys.readouterr()
    assert run(root, "--check") == 0 and capsys.readouterr().out == ""


def test_a_claim_is_in_short_where_a_part_of_it_was_looked_at(tmp_path):
    write_world(tmp_path / "runs", True, seeds=(1, 2))
    publish.publish(load([tmp_path / "runs"]), tmp_path / "recipes" / "toy" / "published")
    page = tmp_path / "README.md"
    names = ("claims in short", "claims in short of toy")
    page.write_text("\n".join(f"<!-- {name} -->\n<!-- end of {name} -->" for name in names))
    assert run(tmp_path) == 0
    of_all, of_toy = (
        [line for line in part.splitlines() if line.startswith("| ")][2:]
        for part in page.read_text().split(f"<!-- end of {names[0]} -->")
    )
    assert any(line.startswith("| 13. ") for line in of_all) and all("| toy: " in line for line in of_all)
    assert of_toy == [line.replace("| toy: ", "| ") for line in of_all]


def test_benchmarks_of_cpus_and_of_gpus_are_two_blocks(root, capsys):
    row = dict.fromkeys(("ratio", "ratio_min", "ratio_max", "mt_ls", "baseline"), 0.5)
    row |= {"benchmark": "criterion", "case": "a size", "against": "stock", "unit": "s", "target": None}
    rows = [{**row, "device": "a processor"}, {**row, "device": "a card", "gpu": True}]
    page, results = root / "README.md", root / "recipes" / "benchmarks.json"
    blocks = [f"<!-- benchmarks {kind} -->\n<!-- end of benchmarks {kind} -->\n" for kind in ("cpu", "gpu")]
    page.write_text("".join(blocks))
    results.write_text(json.dumps(rows[:1]))
    assert run(root) == 0
    of_cpu, of_gpu = page.read_text().split("<!-- benchmarks gpu -->")
    assert "a processor" in of_cpu and "| a size |" in of_cpu and "No benchmark was run on a GPU." in of_gpu
    results.write_text(json.dumps(rows))
    capsys.readouterr()
    assert run(root, "--check") == 1 and capsys.readouterr().out == "README.md: benchmarks gpu: stale\n"
    assert run(root) == 0 and "a card" in page.read_text().split("<!-- benchmarks gpu -->")[1]


def test_a_number_that_was_changed_by_hand_is_found(root, capsys):
    run(root)
    page = root / "recipes" / "toy" / "README.md"
    page.write_text(page.read_text().replace("alpha 0.1", "alpha 0.2", 1))
    assert run(root, "--check") == 1 and "main of toy: stale" in capsys.readouterr().out


def test_a_figure_of_other_records_is_found(root, capsys):
    run(root)
    figure = root / "recipes" / "toy" / "published" / "temperature.svg"
    figure.write_text(figure.read_text().replace("data:dddddddd", "data:eeeeeeee"))
    assert run(root, "--check") == 1 and "temperature.svg: stale" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- nothing -->\n<!-- end of nothing -->\n", "no block 'nothing'"),
        ("<!-- mein of toy -->\n<!-- end of mein of toy -->\n", "no table 'mein' of toy; there are main"),
        ("<!-- main of other -->\n<!-- end of main of other -->\n", "no such file or folder"),
        ("![x](recipes/toy/published/nothing.svg)\n", "have no figure 'nothing'"),
    ],
)
def test_a_block_of_nothing_is_one_line(root, capsys, text, message):
    (root / "README.md").write_text(text)
    assert run(root, "--check") == 2
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1


@pytest.mark.slow
def test_the_pages_of_this_repository_say_what_its_evidence_says(capsys):
    """The one test that reads published evidence."""
    assert pages.main(["--check"]) == 0, capsys.readouterr().out
