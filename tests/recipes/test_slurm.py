"""recipes/slurm.sh against a real slurmctld and two slurmd on this machine (Debian's packages)."""

import contextlib
import os
import re
import secrets
import shutil
import socket
import subprocess
import time

import pytest
from trees import ROOT, run_recipe, with_environment

from mt_ls.records.record import read

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
AuthInfo=socket={folder}/munge.socket
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
SlurmUser=root
KillWait=5
SchedulerParameters=sched_min_interval=1,bf_interval=1
NodeName={host} NodeHostname={host} NodeAddr=127.0.0.1 Port={port1} CPUs=1 RealMemory=1000
NodeName={host}-2 NodeHostname={host} NodeAddr=127.0.0.1 Port={port2} CPUs=1 RealMemory=1000
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def _free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """The environment of a cluster of two nodes, both this machine."""
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing or os.getuid():
        pytest.skip(f"needs root and Debian's slurmctld, slurmd, slurm-client and munge (no {', '.join(missing)})")
    folder = tmp_path_factory.mktemp("slurm")
    (folder / "state").mkdir()
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o400)
    ports = dict(zip(("port", "port1", "port2"), (_free_port() for _ in range(3)), strict=True))
    host = socket.gethostname().split(".")[0]
    # The first node's name must be one that resolves: workers meet there.
    (folder / "slurm.conf").write_text(CONFIGURATION.format(folder=folder, host=host, **ports))
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
    munged = [
        "munged",
        "--foreground",
        "--force",
        f"--key-file={key}",
        f"--socket={folder}/munge.socket",
        f"--pid-file={folder}/munge.pid",
        f"--log-file={folder}/munge.log",
        f"--seed-file={folder}/munge.seed",
    ]
    nodes = [["slurmd", "-D", "-N", name] for name in (host, f"{host}-2")]
    with contextlib.ExitStack() as stack:
        for command in (munged, ["slurmctld", "-D", "-c"], *nodes):
            process = stack.enter_context(
                subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            )
            stack.callback(process.kill)
            time.sleep(0.5)
        deadline = time.time() + 30
        while "2 idle" not in _told(environment, "timeout", "5", "sinfo", "--noheader", "-o", "%D %t"):
            if time.time() > deadline:
                pytest.skip(f"slurm does not start here: {(folder / 'slurmctld.log').read_text()[-500:]}")
        yield environment


def _told(environment, *command):
    return subprocess.run(command, env=environment, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the repository that recipes run in."""
    if not any((ROOT / ".venv").glob("installed-*")):
        pytest.skip("the recipes need the environment that recipes/test.sh makes")
    return with_environment(tmp_path_factory.mktemp("a cluster"))


def _submit(slurm, tree, **options):
    found = run_recipe(tree, "slurm.sh", "iwslt14", **slurm, SCALE="smoke", CPU="1", **options)
    assert found.returncode == 0, found.stderr
    return re.search(r"Submitted batch job (\d+)", found.stdout)[1]


def _until_done(slurm, job, log, seconds=300):
    deadline = time.time() + seconds
    while _told(slurm, "squeue", "--noheader", "-j", job).strip():
        assert time.time() < deadline, log.read_text() if log.exists() else _told(slurm, "scontrol", "show", "job", job)
        time.sleep(0.5)


@pytest.mark.slow
def test_a_grid_is_an_array_and_a_warned_job_saves_queues_again_and_goes_on(slurm, tree):
    job = _submit(slurm, tree, ALPHAS="0.0 0.1")
    run = tree / "runs" / "iwslt14_smoke_a0.00_s1"
    log = tree / "runs" / "slurm" / f"mt_ls_iwslt14_{job}_0.log"
    deadline = time.time() + 120
    while not (run / "train.log").exists() or "begin training epoch" not in (run / "train.log").read_text():
        assert time.time() < deadline, log.read_text()
        time.sleep(0.02)
    # What SLURM sends before the limit, to the batch shell alone.
    subprocess.run(["scancel", "--batch", "--signal=USR1", f"{job}_0"], env=slurm, check=True)
    while "stopped by a signal" not in log.read_text():
        assert time.time() < deadline, log.read_text()
        time.sleep(0.1)
    assert not (run / "trained").exists() and (run / "checkpoints" / "checkpoint_last.pt").exists()
    time.sleep(2)
    # A requeued job waits two minutes; a test does not.
    subprocess.run(["scontrol", "update", f"JobId={job}_0", "StartTime=now"], env=slurm, check=False)
    _until_done(slurm, job, log)
    assert "Loaded checkpoint" in (run / "train.log").read_text()
    for alpha in ("0.00", "0.10"):
        records = read(tree / "runs" / f"iwslt14_smoke_a{alpha}_s1" / "records.jsonl")
        assert {record.updates for record in records} == {60} and len(records) == 8


@pytest.mark.slow
def test_one_training_over_two_nodes(slurm, tree):
    job = _submit(slurm, tree, ALPHAS="0.1", NODES="2", SEEDS="2")
    _until_done(slurm, job, tree / "runs" / "slurm" / f"mt_ls_iwslt14_{job}_0.log")
    run = tree / "runs" / "iwslt14_smoke_a0.10_s2"
    assert "training on 2 devices" in (run / "train.log").read_text()
    assert {record.updates for record in read(run / "records.jsonl")} == {60}


def test_print_shows_the_script(tree):
    found = run_recipe(tree, "slurm.sh", "wmt14", PRINT="1", SEEDS="1 2", GPUS="4", NODES="2", TIME="1:00:00")
    lines = found.stdout.splitlines()
    for option in ("array=0-3", "nodes=2", "gpus-per-node=4", "signal=B:USR1@300", "requeue", "time=1:00:00"):
        assert f"#SBATCH --{option}" in lines
    checked = subprocess.run(["shellcheck", "-"], input=found.stdout, capture_output=True, text=True)
    assert found.returncode == 0 and checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        (["slurm.sh", "wnt14"], {}, "error: no recipe 'wnt14'; there are: cifar10 "),
        (["slurm.sh"], {}, "error: no recipe ''"),
        (["wmt14/run.sh"], {"SCALE": "smoke", "GPUS": "two"}, "error: GPUS=two NODES=1: give whole numbers"),
        (["wmt14/run.sh"], {"SCALE": "smoke", "NODES": "2"}, "error: NODES=2 needs a SLURM job"),
        (["wmt14/run.sh"], {"SCALE": "smoke", "PRECISION": "int8"}, "error: PRECISION=int8: choose float32"),
        (["wmt14/run.sh"], {"SCALE": "cpu"}, "error: SCALE=cpu: choose smoke or paper"),
    ],
)
def test_what_cannot_be_submitted_is_one_line(tree, arguments, environment, expected):
    found = run_recipe(tree, *arguments, **environment)
    errors = [line for line in found.stderr.splitlines() if line.startswith("error: ")]
    assert found.returncode == 1 and len(errors) == 1 and re.match(expected, errors[0]), found.stderr
