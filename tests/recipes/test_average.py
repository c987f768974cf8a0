"""AVERAGE of the Multi30k recipe: the commands that it calls, and the runs that it takes for trained."""

import re

import pytest
from trees import fresh, run_recipe

RECIPE = "multi30k/run.sh"

PYTHON = r"""#!/usr/bin/env bash
# Stands for python: notes a command.
if [ "$1" = -c ]; then
  echo 1 # torch sees a GPU; the hash of the data
  exit
fi
{ printf '%q ' "$@"; echo; } >>"$RECORD"
"""


def _printed(tree, **environment):
    process = run_recipe(tree, RECIPE, PRINT="1", ALPHAS="0.0 0.1", **environment)
    assert (process.returncode, process.stderr) == (0, "")
    return process.stdout.splitlines()


@pytest.mark.parametrize(
    ("scale", "kept", "chosen"),
    [
        ("cpu", "--keep-last-epochs 10 ", "--num-epoch-checkpoints 10 "),
        ("paper", "--keep-last-epochs 10 ", "--num-epoch-checkpoints 10 "),
        ("smoke", "--save-interval-updates 2 --keep-interval-updates 10 ", "--num-update-checkpoints 10 "),
    ],
)
def test_the_average_is_measured_as_the_last_checkpoint_is(tree, scale, kept, chosen):
    plain, lines = _printed(tree, SCALE=scale), _printed(tree, SCALE=scale, AVERAGE="10")
    assert all("--keep-last-epochs 1 " in line for line in plain if "mt_ls.train" in line)
    assert sum(kept in line for line in lines if "mt_ls.train" in line) == 2
    averages = [line for line in lines if "mt_ls.average" in line]
    assert len(averages) == 2 and all(chosen in line for line in averages)
    assert [line.split(" --output ")[1] for line in averages] == [
        f"{line.split('mt_ls.average ')[1].split()[0]}/average10.pt" for line in averages
    ]
    measured = [line for line in lines if "mt_ls.measure" in line]
    of_average = [line for line in measured if "/average10.pt " in line]
    assert [line.replace("average10.pt", "checkpoint_last.pt") for line in of_average] == [
        line for line in measured if "/checkpoint_last.pt " in line
    ]
    assert [line for line in lines if line not in (*averages, *of_average)][3:] == [
        re.sub("--keep-last-epochs 1 ", kept if scale != "smoke" else f"--keep-last-epochs 1 {kept}", line)
        for line in plain
    ][3:]
    for line in lines:
        options = re.findall(r" (--[a-z][-a-z0-9]*)", line)
        assert len(set(options)) == len(options)


def test_help_lists_it(tree):
    process = run_recipe(tree, RECIPE, "--help")
    assert process.returncode == 0 and re.search(r"^AVERAGE=10 also measures the average", process.stdout, re.M)


@pytest.mark.parametrize("value", ["1", "0", "ten", "-2", "2 3"])
def test_a_number_that_averages_nothing_is_refused(tree, value):
    process = run_recipe(tree, RECIPE, PRINT="1", AVERAGE=value)
    assert (process.returncode, process.stdout) == (1, "")
    assert process.stderr == f"error: AVERAGE={value}: give the number of checkpoints, a whole number greater than 1\n"


def test_a_finished_training_serves_with_and_without_an_average(tree, tmp_path):
    """What is kept is no part of a training's identity; its other options are."""
    copy, environment = fresh(tree, tmp_path / "tree"), tmp_path / "environment"
    (environment / "bin").mkdir(parents=True)
    (environment / "bin" / "python").write_text(PYTHON)
    (environment / "bin" / "python").chmod(0o755)

    def called(name, **variables):
        fixed = {"MT_LS_VENV": str(environment), "RECORD": str(tmp_path / name), "ALPHAS": "0.1"}
        process = run_recipe(copy, RECIPE, **fixed, **variables)
        assert process.returncode == 0, process.stderr
        text = (tmp_path / name).read_text()
        return [text.count(f"-m {program} ") for program in ("mt_ls.train", "mt_ls.average")]

    command = copy / "runs" / "multi30k_a0.10_s1" / "command"
    assert called("plain") == [1, 0]
    of_plain = command.read_text()
    assert called("average", AVERAGE="10") == [0, 1] and called("again") == [0, 0]
    assert command.read_text() == of_plain and "--keep-last-epochs 1 " in of_plain
    (command.parent / "trained").unlink()  # as of a training that was stopped
    assert called("goes on", AVERAGE="10") == [1, 1] and "--keep-last-epochs 10 " in command.read_text()
    assert called("plain again") == [0, 0]
    assert called("smoke", SCALE="smoke", AVERAGE="3") == [1, 1]
    assert called("plain smoke", SCALE="smoke") == [0, 0]
    command.write_text(of_plain.replace("--dropout 0.3", "--dropout 0.1"))
    process = run_recipe(copy, RECIPE, MT_LS_VENV=str(environment), RECORD=str(tmp_path / "other"), ALPHAS="0.1")
    assert process.returncode == 1 and "holds a model of another command" in process.stderr.splitlines()[-1]
