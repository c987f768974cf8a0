"""mt_ls.train: fairseq's training through signals, cut checkpoints, bad numbers and workers that die."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from conftest import MODEL, ROOT, logged, run

SMALL = ["--max-tokens", "600", "--max-update", "60", "--log-interval", "5", "--no-epoch-checkpoints"]


def _command(data, folder, *options, workers=1):
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(workers)] if workers > 1 else []
    return [
        sys.executable,
        *launch,
        "-m",
        "mt_ls.train",
        str(data),
        *MODEL,
        *SMALL,
        "--save-dir",
        str(folder),
        *options,
    ]


def _parameters(folder):
    import fairseq  # noqa: F401

    import mt_ls.plugin  # noqa: F401

    return torch.load(folder / "checkpoint_last.pt", weights_only=True)["model"]


def _until(text, process, log):
    deadline = time.time() + 120
    while text not in log.read_text() and process.poll() is None and time.time() < deadline:
        time.sleep(0.02)


def _interrupted(command, log, act):
    """The status of a command on which ``act`` was done after its 20th update."""
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output, preexec_fn=os.setsid)
        _until("num_updates=20,", process, log)
        act(process)
        return process.wait(timeout=60)


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """A run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    found = run(_command(data, folder))
    assert found.returncode == 0, found.stderr
    return folder


def test_a_signal_saves_and_the_same_command_ends_with_the_same_numbers(data, whole, tmp_path):
    command = _command(data, tmp_path / "run")
    log = tmp_path / "log"
    assert _interrupted(command, log, lambda process: process.send_signal(signal.SIGUSR1)) == 75
    stopped_at = logged(log.read_text(), "num_updates")
    assert 20 <= stopped_at < 60
    again = run(command)
    assert again.returncode == 0 and f"@ {stopped_at:.0f} updates" in again.stdout
    ours, theirs = _parameters(tmp_path / "run"), _parameters(whole)
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_run_that_has_seen_all_its_updates_trains_no_more(data, whole):
    """As one that was killed between its last checkpoint and its end."""
    before = (whole / "checkpoint_last.pt").read_bytes()
    found = run(_command(data, whole))
    assert found.returncode == 0 and "checkpoint_last.pt has seen all 60 updates" in found.stderr
    assert (whole / "checkpoint_last.pt").read_bytes() == before


@pytest.mark.slow
def test_a_signal_to_one_worker_stops_all_after_the_same_update(data, tmp_path):
    def signal_one(process):
        ranks = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
        os.kill(int(ranks[-1]), signal.SIGUSR1)

    command = _command(data, tmp_path / "run", "--max-update", "3000", workers=2)
    assert _interrupted(command, tmp_path / "log", signal_one) != 0
    assert "exitcode  : 75" in (tmp_path / "log").read_text()
    assert (tmp_path / "run" / "checkpoint_last.pt").exists()


@pytest.mark.slow
def test_when_a_worker_dies_the_other_ends_too(data, tmp_path):
    def kill_one(process):
        ranks = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
        os.kill(int(ranks[-1]), signal.SIGKILL)

    command = _command(data, tmp_path / "run", "--max-update", "3000", workers=2)
    start = time.time()
    assert _interrupted(command, tmp_path / "log", kill_one) == 1
    assert time.time() - start < 60
    left = run(["pgrep", "-f", f"save-dir {tmp_path}/run"]).stdout.split()
    assert not left
    text = (tmp_path / "log").read_text()
    assert "exitcode  : -9" in text and ("another worker ended" in text or "exitcode  : -15" in text)


def test_a_loss_that_is_not_finite_names_its_update_and_leaves_the_last_good_checkpoint(data, tmp_path):
    found = run(_command(data, tmp_path, "--lr", "1e30", "--lr-scheduler", "fixed", "--save-interval-updates", "1"))
    lines = found.stderr.splitlines()
    assert found.returncode == 1 and len(lines) == 1 and "Traceback" not in found.stdout
    assert lines[0].startswith("mt_ls.train: error: update 2: the loss or its gradient is not finite")
    assert "Error" in (tmp_path / "error.txt").read_text()
    assert all(torch.isfinite(values).all() for values in _parameters(tmp_path).values())


def test_a_checkpoint_that_is_cut_short_gives_way_to_the_newest_whole_one(data, whole, tmp_path):
    folder = tmp_path / "run"
    assert run(_command(data, folder, "--max-update", "30", "--save-interval-updates", "10")).returncode == 0
    size = (folder / "checkpoint_last.pt").stat().st_size
    for name in ("checkpoint_last.pt", "checkpoint_best.pt", "checkpoint_1_30.pt"):
        os.truncate(folder / name, size // 2)
    found = run(_command(data, folder))
    assert found.returncode == 0
    assert "checkpoint_last.pt was cut short; going on from checkpoint_1_20.pt" in found.stderr
    ours, theirs = _parameters(folder), _parameters(whole)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_cut_checkpoint_without_another_is_one_line(data, tmp_path):
    (tmp_path / "checkpoint_last.pt").write_bytes(b"PK half a checkpoint")
    found = run(_command(data, tmp_path))
    assert found.returncode == 1 and len(found.stderr.splitlines()) == 1
    assert "is cut short and there is no other checkpoint: delete it to begin again" in found.stderr
