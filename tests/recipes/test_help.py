"""--help of every recipe, and arguments that none takes."""

import itertools
import re

import pytest
from commands import ROOT, run
from trees import environment_of

FUNCTIONS = {"help.sh", "jobs.sh", "lib.sh"}
EXPERIMENTS = sorted(f"recipes/{path.parent.name}/run.sh" for path in ROOT.glob("recipes/*/run.sh"))
TOOLS = sorted(f"recipes/{path.name}" for path in ROOT.glob("recipes/*.sh") if path.name not in FUNCTIONS)
NOTHING = {"PYTHON": "python3.9000", "MT_LS_VENV": "/nowhere"}
"""With these a recipe that sets up its environment, or looks for it, ends with an error."""


@pytest.mark.parametrize("word", ["--help", "-h"])
@pytest.mark.parametrize("script", [*EXPERIMENTS, *TOOLS, "tests/faults.sh"])
def test_help_is_the_head_of_the_script(script, word):
    process = run(["bash", script, word], env=environment_of(**NOTHING))
    assert (process.returncode, process.stderr) == (0, "")
    _, *lines = (ROOT / script).read_text().splitlines()
    head = list(itertools.takewhile(lambda line: re.match("#(?! shellcheck )", line), lines))
    assert head and process.stdout.startswith("".join(f"{line[2:]}\n" for line in head))
    assert script in process.stdout


@pytest.mark.parametrize("script", EXPERIMENTS)
def test_help_of_an_experiment_has_its_scales_and_the_variables_of_all(script):
    text = run(["bash", script, "--help"], env=environment_of(**NOTHING)).stdout
    for variable in ("SCALE", "SEEDS", "ALPHAS", "PRECISION", "JOBS", "GPUS", "NODES", "PRINT"):
        assert re.search(rf"^  {variable}=\S.*  \S", text, re.M)
    refused = run(["bash", script], env=environment_of(SCALE="?")).stderr
    scales = re.findall("smoke|cpu|paper", refused)
    assert "smoke" in scales and all(re.search(rf"^SCALE=.*\b{scale}\b", text, re.M) for scale in scales)
    assert " default" in text


def test_help_is_found_from_any_folder(tmp_path):
    process = run(["bash", "-c", 'cd "$1" && bash "$2" --help', "bash", tmp_path, ROOT / "recipes" / "slurm.sh"])
    assert process.returncode == 0 and process.stdout.startswith("Submit a recipe to SLURM")


@pytest.mark.parametrize("script", [*EXPERIMENTS, "recipes/quickstart.sh", "recipes/lock.sh"])
def test_an_argument_that_is_none_is_one_line_before_any_work(script):
    process = run(["bash", script, "paper"], env=environment_of(**NOTHING))
    assert process.returncode == 1 and process.stdout == ""
    assert re.fullmatch(rf"error: {script} takes no arguments \('paper'\): choose .* see --help\n", process.stderr)


def test_slurm_takes_one_recipe():
    process = run(["bash", "recipes/slurm.sh", "wmt14", "SCALE=smoke"], env=environment_of(**NOTHING))
    assert process.returncode == 1 and len(process.stderr.splitlines()) == 1 and "(got 'SCALE=smoke'" in process.stderr
