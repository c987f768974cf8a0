"""JOBS=2: runs of a grid side by side have the commands of one after the other, and stop together."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from commands import descendants, says, started, wait_until
from trees import copy_of_the_tree, environment_of, run_recipe, start_recipe

TRAINING = "| fairseq_cli.train | {"


def _script(body):
    """A recipe without an environment: the functions of lib.sh, then ``body``."""
    return ["bash", "-c", f'source "$1/recipes/lib.sh"\n{body}', "bash"]


def _pool(tree, body, **environment):
    environment = environment_of(**{"JOBS": "2", **environment})
    return subprocess.run([*_script(body), tree], env=environment, capture_output=True, text=True)


def test_at_most_so_many_jobs_are_at_work_and_each_has_its_own_log(tree):
    process = _pool(
        tree,
        """
        work() { echo "job $1"; touch "at_work_$1"; sleep 0.3; ls at_work_* | wc -l; sleep 0.3; rm "at_work_$1"; }
        for i in 1 2 3 4; do job "runs/pool_$i" work "$i"; done
        wait_jobs
        echo after all
        """,
    )
    assert process.returncode == 0 and process.stdout == "after all\n", process.stderr
    logs = [(tree / "runs" / f"pool_{i}" / "job.log").read_text() for i in (1, 2, 3, 4)]
    assert logs == [f"job {i}\n2\n" for i in (1, 2, 3, 4)]
    assert sorted(re.findall(r"^== (?:started|finished) runs/pool_\d", process.stderr, re.M)) == sorted(
        f"== {word} runs/pool_{i}" for word in ("started", "finished") for i in (1, 2, 3, 4)
    )


def test_without_jobs_a_command_writes_where_the_recipe_does(tree):
    process = _pool(tree, "job runs/alone echo here; wait_jobs", JOBS="1")
    assert (process.returncode, process.stdout, process.stderr) == (0, "here\n", "")
    assert not (tree / "runs" / "alone").exists()


@pytest.mark.parametrize(("cores", "threads"), [("7", "3"), ("1", "1")])
def test_each_job_has_its_share_of_the_cores(tree, cores, threads):
    body = f"nproc() {{ echo {cores}; }}; unset OMP_NUM_THREADS; job runs/share printenv OMP_NUM_THREADS; wait_jobs"
    assert _pool(tree, body).returncode == 0
    assert (tree / "runs" / "share" / "job.log").read_text().splitlines()[-1] == threads


def test_after_a_failure_the_others_finish_and_none_starts(tree):
    process = _pool(
        tree,
        """
        fails() { echo "tool: error: the reason"; echo more; exit 3; }
        finishes() { sleep 1; touch finished; }
        job runs/finishes finishes
        job runs/fails fails
        job runs/never touch never
        wait_jobs
        """,
    )
    assert process.returncode == 1
    assert process.stderr.splitlines()[-1] == "error: tool: error: the reason (output: runs/fails/job.log)"
    assert "== failed runs/fails with status 3: tool: error: the reason" in process.stderr
    assert (tree / "finished").exists() and not (tree / "never").exists()


def test_the_reason_is_of_the_last_attempt(tree):
    body = "job runs/again bash -c 'echo error: $0; exit 1' {}; wait_jobs"
    assert _pool(tree, body.format("first")).stderr.endswith("error: first (output: runs/again/job.log)\n")
    assert _pool(tree, body.format("second")).stderr.endswith("error: second (output: runs/again/job.log)\n")


def test_a_job_that_a_signal_stopped_ends_the_recipe_with_its_status(tree):
    body = "job runs/stopped exit 75; job runs/finishes true; wait_jobs; touch never"
    process = _pool(tree, body)
    assert process.returncode == 75 and "run the same command to continue" in process.stderr.splitlines()[-1]
    assert not (tree / "never").exists()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("to_all", [True, False])
def test_a_signal_to_the_recipe_leaves_nothing_at_work(tree, tmp_path, end, to_all):
    """To its process group, as Ctrl-C in a terminal, or to the recipe alone."""
    body = "work() { sleep 60 | tee out; echo next; sleep 60; }; for i in 1 2 3; do job runs/$i work; done; wait_jobs"
    log = tmp_path / "log"
    with started([*_script(body), str(tree)], log, env=environment_of(JOBS="2")) as process:
        wait_until(lambda: sum(_command(pid) == "sleep 60" for pid in descendants(process.pid)) == 2, process, log=log)
        below = descendants(process.pid)
        (os.killpg if to_all else os.kill)(process.pid, end)
        assert process.wait(timeout=10) == 128 + end
        wait_until(lambda: not any(_command(pid) for pid in below), seconds=10)


def _command(pid):
    """The command line of a process; empty once it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    except OSError:
        return ""


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"JOBS": "0"}, "error: JOBS=0: give a whole number greater than 0"),
        ({"JOBS": "two"}, "error: JOBS=two: give a whole number greater than 0"),
        ({"JOBS": "2", "GPUS": "2"}, "error: JOBS=2 packs runs on one device: give it without GPUS and NODES"),
        ({"JOBS": "2", "NODES": "2"}, "error: JOBS=2 packs runs on one device: give it without GPUS and NODES"),
    ],
)
def test_a_wrong_number_is_one_line_before_any_work(tree, environment, message):
    process = run_recipe(tree, "synthetic/run.sh", SCALE="smoke", **environment)
    assert (process.returncode, process.stderr) == (1, f"{message}\n")


@pytest.mark.parametrize("recipe", ["synthetic", "mnist"])
def test_the_commands_are_those_of_one_after_the_other(tree, recipe):
    alone, packed = (run_recipe(tree, f"{recipe}/run.sh", SCALE="smoke", PRINT="1", JOBS=jobs) for jobs in "12")
    assert alone.returncode == 0 and (packed.stdout, packed.stderr) == (alone.stdout, alone.stderr)


@pytest.mark.slow
def test_two_warned_jobs_save_and_stop(data, tmp_path):
    """That a saved training goes on to the same weights is tested where it is one: `tests/plugin/test_train.py`."""
    tree, log = copy_of_the_tree(tmp_path / "packed"), tmp_path / "recipe.log"
    shutil.copytree(data, tree / "data-bin" / "synthetic_smoke")
    runs = [tree / "runs" / f"synthetic_smoke_a{alpha}_s1" for alpha in ("0.00", "0.10")]
    with log.open("w") as output:
        process = start_recipe(tree, "synthetic/run.sh", log=output, SCALE="smoke", JOBS="2")
        wait_until(lambda: all(says(run / "train.log", TRAINING) for run in runs), process, log=log)
        os.killpg(process.pid, signal.SIGUSR1)  # as a scheduler warns
        assert process.wait(timeout=120) == 75, log.read_text()
    assert log.read_text().count("== stopped runs/synthetic_smoke_a0.") == 2
    assert all((run / "checkpoints" / "checkpoint_last.pt").exists() and not (run / "trained").exists() for run in runs)
