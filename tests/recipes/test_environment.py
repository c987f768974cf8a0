"""A recipe's environment, and the commands that PRINT=1 shows."""

import re
import shutil
import subprocess
import sys
from collections import Counter
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
    process = run_recipe(tree, "test.sh", "-m", "gpu", "-p", "no:cacheprovider")
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
    assert re.fullmatch(r"error: the environment lacks ruff mypy .*'\.\[fast,test\]' in it\n", process.stderr)


# commands of two seeds and two alphas at smoke scale: trainings or image networks, measurements
TRANSLATION = {
    "home_assistant": (4, 16),
    "iwslt14": (4, 8),
    "multi30k": (4, 32),
    "synthetic": (4, 16),
    "wmt14": (4, 16),
}
IMAGES = {"cifar10": 16, "cifar100": 4, "mnist": 12}


def _printed(tree, recipe, **environment):
    process = run_recipe(tree, f"{recipe}/run.sh", PRINT="1", **environment)
    assert process.returncode == 0, process.stderr
    return process.stdout.splitlines()


def _programs(lines):
    return Counter(" ".join(line.split()[:3]) for line in lines)


@pytest.mark.parametrize("recipe", TRANSLATION)
def test_of_translations(tree, recipe):
    lines = _printed(tree, recipe, SCALE="smoke", SEEDS="1 2", ALPHAS="0.0 0.05")
    n_trainings, n_measurements = TRANSLATION[recipe]
    assert _programs(lines) == {
        "python -m data_prep": 1,
        "python -m mt_ls.train": n_trainings,
        "python -m mt_ls.measure": n_measurements,
        "python -m analysis.report": 1,
    }
    assert len(set(lines)) == len(lines)
    assert sum("--label-smoothing 0.05 " in line for line in lines) == 2
    assert sum("--seed 2 " in line for line in lines if "mt_ls.train" in line) == 2
    assert not (tree / "data-bin").exists() and not (tree / "runs").exists()


@pytest.mark.parametrize("recipe", IMAGES)
def test_of_images(tree, recipe):
    lines = _printed(tree, recipe, SCALE="smoke", SEEDS="1 2", ALPHAS="0.0 0.05")
    assert _programs(lines) == {
        "python -m data_prep": 1,
        "python -m mt_ls.vision": IMAGES[recipe],
        "python -m analysis.report": 1,
    }
    runs = [line.split(" --run ")[1].split()[0] for line in lines if " --run " in line]
    assert len(set(runs)) == IMAGES[recipe] and sum(run.endswith("_s2") for run in runs) == IMAGES[recipe] // 2
    assert not (tree / "data-bin").exists() and not (tree / "runs").exists()


@pytest.mark.parametrize(
    ("recipe", "environment", "launcher", "options"),
    [
        ("wmt14", {}, "python -m mt_ls.train ", "--max-tokens 4096 --update-freq 1 "),
        (
            "wmt14",
            {"GPUS": "8", "PRECISION": "bf16"},
            "torchrun --standalone --nproc-per-node 8 -m ",
            "--max-tokens 512 --update-freq 1 ",
        ),
        ("iwslt14", {"GPUS": "2", "NODES": "2"}, "srun --nodes 2 ", "--max-tokens 1024 --update-freq 1 "),
    ],
)
def test_all_workers_together_see_4096_tokens_an_update(tree, recipe, environment, launcher, options):
    lines = _printed(tree, recipe, SCALE="paper", ALPHAS="0.1", **environment)
    (training,) = (line for line in lines if " -m mt_ls.train " in line)
    assert training.startswith(launcher) and options in training
    assert (" --bf16 " in training) == ("PRECISION" in environment)


@pytest.mark.parametrize(
    ("recipe", "float32", "bf16"),
    [
        ("iwslt14", "runs/iwslt14_smoke_a0.10_s1", "runs/iwslt14_smoke_a0.10_bf16_s1"),
        ("cifar10", "runs/cifar10_smoke_resnet_8_a0.1_s1", "runs/cifar10_smoke_resnet_8_a0.1_bf16_s1"),
    ],
)
def test_a_run_folder_names_a_precision_other_than_float32(tree, recipe, float32, bf16):
    for precision, folder in (("float32", float32), ("bf16", bf16)):
        lines = _printed(tree, recipe, SCALE="smoke", ALPHAS="0.1", PRECISION=precision)
        runs = set(re.findall(r"runs/[^/* ]+", "\n".join(lines[:-1])))
        assert folder in runs and all(("_bf16_s1" in run) == (precision == "bf16") for run in runs)


def test_no_two_recipes_of_images_share_a_run_folder(tree):
    runs = [
        line.split(" --run ")[1].split()[0]
        for recipe in IMAGES
        for line in _printed(tree, recipe, SCALE="smoke")
        if " --run " in line
    ]
    assert len(set(runs)) == len(runs)


@pytest.mark.parametrize("recipe", [*TRANSLATION, *IMAGES])
def test_an_unknown_scale_is_one_line(tree, recipe):
    process = run_recipe(tree, f"{recipe}/run.sh", SCALE="huge")
    assert process.returncode == 1 and len(process.stderr.splitlines()) == 1
    assert process.stderr.startswith("error: SCALE=huge: choose smoke")
