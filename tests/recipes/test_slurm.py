"""recipes/slurm.sh on a slurmctld and two slurmd that the tests start on this machine (Debian's packages)."""

import contextlib
import os
import re
import secrets
import shutil
import socket
import subprocess

import pytest
from commands import command, says, started, wait_until
from trees import run_recipe

from mt_ls.records import read

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
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


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
    # the workers of a training meet at the first node's name, which must resolve
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
    daemons = [
        (munged, (folder / "munge.socket").exists),
        (["slurmctld", "-D", "-c"], lambda: " UP" in _output(environment, "scontrol", "ping")),
        (["slurmd", "-D", "-N", host], lambda: True),
        (["slurmd", "-D", "-N", f"{host}-2"], lambda: "2 idle" in _output(environment, "sinfo", "-h", "-o", "%D %t")),
    ]
    with contextlib.ExitStack() as stack:
        try:
            for i, (daemon, is_ready) in enumerate(daemons):
                process = stack.enter_context(started(daemon, folder / f"{i}.out", env=environment))
                wait_until(is_ready, process, seconds=30)
        except AssertionError as error:
            pytest.skip(f"slurm does not start here ({error}): {_end_of(folder / 'slurmctld.log')}")
        yield environment


def _output(environment, *arguments):
    return subprocess.run(["timeout", "10", *arguments], env=environment, capture_output=True, text=True).stdout


def _end_of(log):
    return log.read_text()[-500:] if log.exists() else ""


def _submit(slurm, tree, **options):
    """The number of the array of jobs."""
    process = run_recipe(tree, "slurm.sh", "iwslt14", **slurm, SCALE="smoke", CPU="1", **options)
    assert process.returncode == 0, process.stderr
    return re.search(r"Submitted batch job (\d+)", process.stdout)[1]


def _log(tree, job):
    return tree / "runs" / "slurm" / f"mt_ls_iwslt14_{job}_0.log"


def _wait_for_the_end(slurm, job, log):
    def has_ended():
        squeue = subprocess.run(["squeue", "--noheader", "-j", job], env=slurm, capture_output=True)
        return squeue.returncode == 0 and not squeue.stdout.strip()

    wait_until(has_ended, seconds=300, log=log, pause=0.5)


@pytest.mark.slow
def test_a_warned_job_of_an_array_saves_queues_again_and_continues(slurm, tree):
    job = _submit(slurm, tree, ALPHAS="0.0 0.1")
    run, log = tree / "runs" / "iwslt14_smoke_a0.00_s1", _log(tree, job)
    wait_until(lambda: says(run / "train.log", "| fairseq_cli.train | {"), log=log)
    # the warning that SLURM sends before the limit, to the batch shell alone
    subprocess.run(["scancel", "--batch", "--signal=USR1", f"{job}_0"], env=slurm, check=True)
    wait_until(lambda: says(log, "stopped by a signal"), log=log)
    assert not (run / "trained").exists() and (run / "checkpoints" / "checkpoint_last.pt").exists()
    # SLURM holds a requeued job for two minutes. A start in the second of the requeue fails: its credential is revoked.
    held = ["squeue", "--noheader", "-j", f"{job}_0", "-o", "%r"]
    wait_until(lambda: "BeginTime" in _output(slurm, *held), log=log, pause=0.2)
    subprocess.run(["scontrol", "update", f"JobId={job}_0", "StartTime=now+3"], env=slurm, check=True)
    _wait_for_the_end(slurm, job, log)
    assert "Loaded checkpoint" in (run / "train.log").read_text()
    for alpha in ("0.00", "0.10"):
        records = read(tree / "runs" / f"iwslt14_smoke_a{alpha}_s1" / "records.jsonl")
        assert {record.updates for record in records} == {60} and len(records) == 8


@pytest.mark.slow
def test_one_training_over_two_nodes(slurm, tree):
    job = _submit(slurm, tree, ALPHAS="0.1", NODES="2", SEEDS="2")
    _wait_for_the_end(slurm, job, _log(tree, job))
    run = tree / "runs" / "iwslt14_smoke_a0.10_s2"
    assert "training on 2 devices" in (run / "train.log").read_text()
    assert {record.updates for record in read(run / "records.jsonl")} == {60}


def test_print_shows_the_script(tree):
    process = run_recipe(tree, "slurm.sh", "wmt14", PRINT="1", SEEDS="1 2", GPUS="4", NODES="2", TIME="1:00:00")
    lines = process.stdout.splitlines()
    for option in ("array=0-3", "nodes=2", "gpus-per-node=4", "signal=B:USR1@300", "requeue", "time=1:00:00"):
        assert f"#SBATCH --{option}" in lines
    checked = subprocess.run(command("shellcheck", "-"), input=process.stdout, capture_output=True, text=True)
    assert process.returncode == 0 and checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["slurm.sh", "wnt14"], {}, "error: no recipe 'wnt14'; there are: cifar10 "),
        (["slurm.sh"], {}, "error: no recipe ''"),
        (["wmt14/run.sh"], {"SCALE": "smoke", "GPUS": "two"}, "error: GPUS=two NODES=1: give whole numbers"),
        (["wmt14/run.sh"], {"SCALE": "smoke", "NODES": "2"}, "error: NODES=2 needs a SLURM job"),
        (["wmt14/run.sh"], {"SCALE": "smoke", "PRECISION": "int8"}, "error: PRECISION=int8: choose float32"),
        (["wmt14/run.sh"], {"SCALE": "cpu"}, "error: SCALE=cpu: choose smoke or paper"),
    ],
)
def test_a_wrong_setting_is_one_line(tree, arguments, environment, message):
    process = run_recipe(tree, *arguments, **environment)
    errors = [line for line in process.stderr.splitlines() if line.startswith("error: ")]
    assert process.returncode == 1 and len(errors) == 1 and re.match(message, errors[0]), process.stderr
