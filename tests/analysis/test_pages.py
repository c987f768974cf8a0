"""The README says what the published records and benchmarks say."""

import numpy as np
import pytest
from conftest import ROOT

from analysis import rows as table
from analysis.claims import __main__ as claims
from analysis.report import __main__ as report

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def rows():
    return table.load([ROOT / "recipes" / "home_assistant"])


PAGES = [
    ("home_assistant", "README.md"),
    ("home_assistant", "recipes/home_assistant/README.md"),
    ("multi30k", "recipes/multi30k/README.md"),
    ("mnist", "recipes/mnist/README.md"),
    ("cifar10", "recipes/cifar10/README.md"),
]


@pytest.mark.parametrize(("recipe", "page"), PAGES)
def test_the_tables_stand_in_a_page(recipe, page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for name, block in report.blocks(table.load([ROOT / "recipes" / recipe]), ROOT / page).items():
        assert f"<!-- {name} -->\n{block}\n<!-- end of {name} -->" in text


@pytest.mark.parametrize("recipe", sorted({recipe for recipe, _ in PAGES}))
def test_the_figures_beside_a_page_are_of_its_records(recipe):
    folder = ROOT / "recipes" / recipe
    rows = table.load([folder])
    shown = report.shown(rows, folder / "README.md")
    assert {f"{one.name}.svg" for one in shown} == {file.name for file in folder.glob("*.svg")} != set()
    for one in shown:
        svg = (folder / f"{one.name}.svg").read_text(encoding="utf-8")
        assert all(line in svg for line in one.draw(rows).get_supxlabel().splitlines())


@pytest.mark.parametrize("recipe", ["multi30k", "mnist", "cifar10"])
def test_the_claims_stand_in_the_readme(recipe):
    rows = table.load([ROOT / "recipes" / recipe])
    found, name = claims.findings(rows), f"claims on {rows[0].record.corpus}"
    assert f"<!-- {name} -->\n{table.markdown(claims.HEADER, claims.cells(found))}\n<!-- end of {name} -->" in README


def test_every_record_says_where_it_comes_from(rows):
    for row in rows:
        record = row.record
        assert record.n_sentences == record.n_sentences_in_set == 600
        assert len(record.sha["code"]) == 40 and len(record.sha["data"]) == 64 and record.seed == 1
        assert {"torch", "fairseq", "mt_ls"} <= set(record.versions)
        if record.temperature == 1.0:
            sums = row.array("sentence_bins")
            np.testing.assert_allclose(sums.sum(0)[0], record.bins.count)
            np.testing.assert_allclose(sums.sum(0)[2], record.bins.hits)


def test_the_benchmarks_stand_in_the_readme(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tests" / "benchmarks")
    import harness

    rows = harness.results()
    assert {row["benchmark"] for row in rows} == set(harness.NAMES)
    assert f"<!-- benchmarks -->\n{harness.readme_table(rows)}\n<!-- end of benchmarks -->" in README
    assert all(set(row["commit"]) <= set("0123456789abcdef") and row["versions"]["torch"] for row in rows)
