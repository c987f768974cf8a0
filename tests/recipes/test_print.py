"""PRINT=1 shows the commands of a recipe and runs none; a wrong setting is one line."""

from collections import Counter

import pytest
from trees import run_recipe

# commands of two seeds and two alphas at smoke scale: trainings or image networks, measurements
TRANSLATION = {
    "home_assistant": (4, 16),
    "iwslt14": (4, 8),
    "multi30k": (4, 32),
    "synthetic": (4, 16),
    "wmt14": (4, 16),
}
IMAGES = {"cifar10": 16, "cifar100": 4, "imagenet": 4, "mnist": 12}


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


@pytest.mark.parametrize("recipe", [*TRANSLATION, *IMAGES])
def test_an_unknown_scale_is_one_line(tree, recipe):
    process = run_recipe(tree, f"{recipe}/run.sh", SCALE="huge")
    assert process.returncode == 1 and len(process.stderr.splitlines()) == 1
    assert process.stderr.startswith("error: SCALE=huge: choose smoke")
