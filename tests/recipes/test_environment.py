"""The environment of a recipe: made in .venv, or named by MT_LS_VENV and used as it is."""

import subprocess
import sys
from pathlib import Path

import pytest
from trees import environment_of, run_recipe


@pytest.mark.parametrize("recipe", ["quickstart.sh", "test.sh"])
@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"PYTHON": "python3.9000"}, "error: Python 3.11 or 3.12 with venv is needed"),
        ({"PYTHON": "bash"}, "error: Python 3.11 or 3.12 with venv is needed"),
        ({"MT_LS_MIN_FREE_MB": "999999999"}, "MB are free here; the environment needs 999999999 MB"),
        ({"MT_LS_VENV": "/nowhere"}, "error: MT_LS_VENV=/nowhere is no environment with fairseq"),
    ],
)
def test_a_lack_is_one_line_before_anything_is_downloaded(tree, recipe, environment, message):
    process = run_recipe(tree, recipe, **{"MT_LS_VENV": "", **environment})
    errors = [line for line in process.stderr.splitlines() if line.startswith("error: ")]
    assert process.returncode == 1 and len(errors) == 1 and message in errors[0]
    assert not (tree / ".venv").exists()


@pytest.mark.parametrize("absolute", [True, False])
def test_a_named_environment_is_used_as_it_is(tree, absolute):
    """A relative name counts from the caller's folder."""
    name = sys.prefix if absolute else Path(sys.prefix).name
    script = 'source "$1/recipes/lib.sh"; set_up fast,test; pwd; command -v python'
    process = subprocess.run(
        ["bash", "-c", script, "bash", tree],
        cwd=Path(sys.prefix).parent,
        env=environment_of(MT_LS_VENV=name),
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0 and process.stdout == f"{tree}\n{sys.prefix}/bin/python\n", process.stderr
    assert not (tree / ".venv").exists()
