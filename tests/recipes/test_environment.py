"""A recipe's environment and its variables: what they may hold, and one line for what they may not."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from commands import ROOT
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
    script = 'source "$1/recipes/lib.sh"; set_up recipes,test; pwd; command -v python'
    process = subprocess.run(
        ["bash", "-c", script, "bash", tree],
        cwd=Path(sys.prefix).parent,
        env=environment_of(MT_LS_VENV=name),
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0 and process.stdout == f"{tree}\n{sys.prefix}/bin/python\n", process.stderr
    assert not (tree / ".venv").exists()


GPU_TESTS = """import pytest
@pytest.mark.gpu
def test_on_a_gpu(): pass
def test_anywhere(): assert False
"""


def test_those_for_a_gpu_run_alone_and_are_skipped_without_one(tree):
    """Neither tools of style nor packages that other tests import are needed."""
    tests = tree / "tests"
    tests.mkdir()
    for name in ("conftest.py", "commands.py", "trees.py"):
        shutil.copy(ROOT / "tests" / name, tests)
    (tests / "test_device.py").write_text(GPU_TESTS)
    (tests / "test_other.py").write_text("import a_package_that_is_not_there")
    process = run_recipe(tree, "test.sh", "-m", "gpu", "-p", "no:cacheprovider", "-n", "1")
    shutil.rmtree(tests)
    assert process.returncode == 0, process.stdout + process.stderr
    assert f"= 1 {'passed' if torch.cuda.is_available() else 'skipped'} in" in process.stdout
    assert torch.cuda.is_available() or "needs a GPU" in process.stdout
    assert "mypy" not in process.stdout


def test_an_environment_without_the_tools_of_style_is_refused_before_any_test(tree, tmp_path):
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    process = run_recipe(tree, "test.sh", MT_LS_VENV=str(tmp_path), PATH="/usr/bin:/bin")
    assert process.returncode == 1 and process.stdout == ""
    assert re.fullmatch(r"error: the environment lacks ruff mypy .*'\.\[recipes,test\]' in it\n", process.stderr)


RECIPES = sorted(path.parent.name for path in ROOT.glob("recipes/*/run.sh"))


@pytest.mark.parametrize("recipe", RECIPES)
def test_an_unknown_scale_is_one_line(tree, recipe):
    process = run_recipe(tree, f"{recipe}/run.sh", SCALE="huge")
    assert process.returncode == 1 and len(process.stderr.splitlines()) == 1
    assert process.stderr.startswith("error: SCALE=huge: choose smoke")


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"ALPHAS": "0.1 none"}, "ALPHAS=0.1 none: give amounts of smoothing from 0 to less than 1"),
        ({"ALPHAS": "1.0"}, "ALPHAS=1.0: give amounts of smoothing from 0 to less than 1"),
        ({"ALPHAS": "-0.1"}, "ALPHAS=-0.1: give amounts of smoothing from 0 to less than 1"),
        ({"SEEDS": "*"}, "SEEDS=*: give whole numbers"),
        ({"SEEDS": "1\nb"}, r"SEEDS=1\nb: give whole numbers"),
        ({"MT_LS_VENV": "/a\nb"}, r"MT_LS_VENV=/a\nb is no environment with fairseq"),
    ],
)
def test_a_value_that_is_none_is_one_line_before_any_work(tree, environment, message):
    """A newline in a value leaves the message one line."""
    process = run_recipe(tree, "synthetic/run.sh", SCALE="smoke", **environment)
    assert process.returncode == 1 and process.stdout == ""
    assert process.stderr.startswith(f"error: {message}") and len(process.stderr.splitlines()) == 1


def test_a_heading_is_one_line(tree):
    script = 'source "$1/recipes/lib.sh"; say "$2"'
    process = subprocess.run(["bash", "-c", script, "bash", tree, "a\nb"], capture_output=True, text=True)
    assert process.stderr == "\n== a\\nb\n"
