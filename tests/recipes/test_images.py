"""The recipes of images from nothing to a report, at smoke scale."""

import pytest
from markupsafe import escape
from trees import run_recipe

from mt_ls.records import read


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "data", "alphas", "n_runs", "heading"),
    [
        ("mnist", "synthetic_digits", "", 6, "Teachers and students (section 4)"),
        ("cifar10", "synthetic_images", "0.1", 4, "Teachers and students (the paper's Figure 5)"),
    ],
)
def test_a_recipe_of_images_measures_each_network_and_reports(tree, recipe, data, alphas, n_runs, heading):
    process = run_recipe(tree, f"{recipe}/run.sh", SCALE="smoke", ALPHAS=alphas)
    assert process.returncode == 0, process.stderr[-3000:]
    folders = sorted((tree / "runs").glob(f"{data}_*_s1"))
    assert len(folders) == n_runs and all(read(folder / "records.jsonl") for folder in folders)
    page = (tree / "out" / data / "report.html").read_text()
    assert escape(heading) in page and "16. And their students are less accurate" in page
