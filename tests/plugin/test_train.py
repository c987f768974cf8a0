"""The training command: what it adds to fairseq-train, interruptions, and the stop that workers agree on.

Every interruption comes from the training itself (see `signalled_train`), so that no test depends on a clock.
"""

import os
import runpy
import signal
import sys

import pytest
import torch
from commands import MODEL, ROOT, command, logged, module, run
from fairseq import checkpoint_utils

from mt_ls.plugin import train
from mt_ls.plugin.stopping import Stop

SMALL = ["--max-tokens", "600", "--max-update", "60", "--log-interval", "5", "--no-epoch-checkpoints"]


def _options(data, folder, *more):
    return [str(data), *MODEL, *SMALL, "--save-dir", str(folder), *more]


def _train(data, folder, *more):
    """The finished process of ``python -m mt_ls.train``."""
    return run(module("mt_ls.train", *_options(data, folder, *more)))


def _signalled(program, signal_name, update, options, rank=0, workers=1):
    """The finished process of a training that sends itself a signal (see `signalled_train`).

    It returns when the last process that shares its output has ended: torchrun and all workers.
    """
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(workers)] if workers > 1 else []
    script = str(ROOT / "tests" / "plugin" / "signalled_train.py")
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    arguments = [sys.executable, *launch, script, program, signal_name, str(update), str(rank), *options]
    return run(arguments, env={**os.environ, "PYTHONPATH": path}, timeout=300)


def _parameters(folder):
    import mt_ls.plugin  # noqa: F401

    return torch.load(folder / "checkpoint_last.pt", weights_only=True)["model"]


def _assert_same_parameters(folder, other):
    parameters, others = _parameters(folder), _parameters(other)
    assert parameters.keys() == others.keys()
    assert all(torch.equal(parameters[name], others[name]) for name in parameters)


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    finished = _train(data, folder)
    assert finished.returncode == 0, finished.stderr
    return folder


def test_the_stock_command_goes_on_after_a_kill_and_ends_with_the_same_numbers(data, whole, tmp_path):
    """Killed 5 updates after its first checkpoint; mt_ls.train trains the same model as fairseq-train."""
    options = _options(data, tmp_path, "--save-interval-updates", "15")
    killed = _signalled("stock", "SIGKILL", 20, options)
    assert killed.returncode == -signal.SIGKILL and "done training" not in killed.stdout
    again = run(command("fairseq-train", *options))
    assert again.returncode == 0, again.stderr[-2000:]
    assert "@ 15 updates" in again.stdout and "done training" in again.stdout
    assert logged(again.stdout, "num_updates") == 60 and 0 <= logged(again.stdout, "ece") <= 1
    _assert_same_parameters(tmp_path, whole)


def test_a_signal_saves_and_the_same_command_ends_with_the_same_numbers(data, whole, tmp_path):
    options = _options(data, tmp_path)
    stopped = _signalled("mt_ls", "SIGUSR1", 20, options)
    assert stopped.returncode == 75 and logged(stopped.stdout, "num_updates") == 21
    again = run(module("mt_ls.train", *options))
    assert again.returncode == 0 and "@ 21 updates" in again.stdout
    _assert_same_parameters(tmp_path, whole)


def test_ctrl_c_is_one_line_and_status_130(data, tmp_path):
    stopped = _signalled("mt_ls", "SIGINT", 7, _options(data, tmp_path, "--save-interval-updates", "5"))
    assert stopped.returncode == 130 and "Traceback" not in stopped.stdout
    line = f"mt_ls.train: interrupted; the same command goes on from {tmp_path}/checkpoint_last.pt\n"
    assert stopped.stderr == line


def test_ctrl_c_before_the_first_checkpoint_says_so(main_here, monkeypatch):
    def interrupt(cfg):
        raise KeyboardInterrupt

    monkeypatch.setattr(train.stock, "main", interrupt)
    monkeypatch.setattr(train.STOP, "listen", lambda *_: None)
    assert main_here() == (
        130,
        ["mt_ls.train: interrupted; the same command begins again: there is no checkpoint yet"],
    )


def test_ctrl_c_while_fairseq_is_imported_is_one_line_too(monkeypatch, capsys):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "main", interrupt)
    monkeypatch.setattr(os, "_exit", sys.exit)
    with pytest.raises(SystemExit, match="130"):
        runpy.run_module("mt_ls.train", run_name="__main__")
    assert capsys.readouterr().err == "mt_ls.train: interrupted before the training began\n"


def test_a_run_that_has_seen_all_its_updates_trains_no_more(data, whole):
    """As one that was killed between its last checkpoint and its end."""
    before = (whole / "checkpoint_last.pt").read_bytes()
    finished = _train(data, whole)
    assert finished.returncode == 0 and "checkpoint_last.pt has seen all 60 updates" in finished.stderr
    assert (whole / "checkpoint_last.pt").read_bytes() == before


@pytest.mark.slow
def test_a_signal_to_one_worker_stops_both_after_the_same_update(data, tmp_path):
    stopped = _signalled("mt_ls", "SIGUSR1", 10, _options(data, tmp_path), rank=1, workers=2)
    assert stopped.returncode != 0 and "exitcode  : 75" in stopped.stderr
    assert logged(stopped.stdout, "num_updates") == 11
    state = torch.load(tmp_path / "checkpoint_last.pt", weights_only=True)
    assert state["optimizer_history"][-1]["num_updates"] == 11


@pytest.mark.slow
def test_when_a_worker_dies_the_other_ends_too(data, tmp_path):
    options = _options(data, tmp_path, "--max-update", "3000")
    finished = _signalled("mt_ls", "SIGKILL", 10, options, rank=1, workers=2)
    assert finished.returncode == 1 and "exitcode  : -9" in finished.stderr
    assert "done training" not in finished.stdout
    assert "another worker ended" in finished.stderr or "exitcode  : -15" in finished.stderr


def test_a_loss_that_is_not_finite_names_its_update_and_leaves_the_last_good_checkpoint(data, tmp_path):
    finished = _train(data, tmp_path, "--lr", "1e30", "--lr-scheduler", "fixed", "--save-interval-updates", "1")
    lines = finished.stderr.splitlines()
    assert finished.returncode == 1 and len(lines) == 1 and "Traceback" not in finished.stdout
    assert lines[0].startswith("mt_ls.train: error: update 2: the loss or its gradient is not finite")
    assert "Error" in (tmp_path / "error.txt").read_text()
    assert all(torch.isfinite(values).all() for values in _parameters(tmp_path).values())


def test_a_checkpoint_that_is_cut_short_gives_way_to_the_newest_whole_one(data, whole, tmp_path):
    assert _train(data, tmp_path, "--max-update", "30", "--save-interval-updates", "10").returncode == 0
    size = (tmp_path / "checkpoint_last.pt").stat().st_size
    for name in ("checkpoint_last.pt", "checkpoint_best.pt", "checkpoint_1_30.pt"):
        os.truncate(tmp_path / name, size // 2)
    finished = _train(data, tmp_path)
    assert finished.returncode == 0
    assert "checkpoint_last.pt was cut short; going on from checkpoint_1_20.pt" in finished.stderr
    _assert_same_parameters(tmp_path, whole)


@pytest.fixture
def main_here(data, tmp_path, monkeypatch, capsys):
    """mt_ls.train in this process, for runs that end before they train: its status and the lines of stderr."""
    monkeypatch.setattr(checkpoint_utils.PathManager, "copy", checkpoint_utils.PathManager.copy)
    plugin_options = [option for option in _options(data, tmp_path) if option not in ("--user-dir", "mt_ls")]

    def main(*more):
        status = train.main([*plugin_options, *more])
        return status, capsys.readouterr().err.splitlines()

    return main


def test_a_cut_checkpoint_without_another_is_one_line(main_here, tmp_path):
    (tmp_path / "checkpoint_last.pt").write_bytes(b"PK half a checkpoint")
    status, lines = main_here()
    assert status == 1 and len(lines) == 1
    assert "is cut short and there is no other checkpoint: delete it to begin again" in lines[0]
    assert "Traceback" in (tmp_path / "error.txt").read_text()


def test_a_bad_option_of_the_criterion_is_one_line_before_training(main_here, tmp_path):
    status, lines = main_here("--smoothing-kind", "unigram", "--smoothing-convention", "fairseq")
    assert status == 1 and len(lines) == 1
    assert lines[0].startswith("mt_ls.train: error: the fairseq convention is for uniform smoothing only")
    assert not list(tmp_path.glob("*.pt"))


def _checkpoint(path, updates):
    torch.save({"optimizer_history": [{"num_updates": updates}], "model": torch.ones(1000)}, path)


def test_the_newest_whole_checkpoint_replaces_a_cut_one_whatever_the_names(tmp_path, capsys):
    for name, updates in (("checkpoint_1_20.pt", 20), ("checkpoint_best.pt", 10), ("checkpoint_1_30.pt", 30)):
        _checkpoint(tmp_path / name, updates)
    (tmp_path / "checkpoint_last.pt").write_bytes(b"PK")
    os.truncate(tmp_path / "checkpoint_1_30.pt", 2000)
    train.restore_last(tmp_path)
    assert (tmp_path / "checkpoint_last.pt").read_bytes() == (tmp_path / "checkpoint_1_20.pt").read_bytes()
    assert "was cut short; going on from checkpoint_1_20.pt" in capsys.readouterr().err


def test_a_whole_last_checkpoint_and_an_empty_folder_are_left_alone(tmp_path, capsys):
    train.restore_last(tmp_path)
    assert not list(tmp_path.iterdir())
    _checkpoint(tmp_path / "checkpoint_last.pt", 5)
    _checkpoint(tmp_path / "checkpoint_best.pt", 9)
    before = (tmp_path / "checkpoint_last.pt").read_bytes()
    train.restore_last(tmp_path)
    assert (tmp_path / "checkpoint_last.pt").read_bytes() == before and not capsys.readouterr().err


def test_an_error_that_another_worker_causes_says_so(tmp_path):
    assert train._reason(RuntimeError("Connection closed by peer [127.0.0.1]:1"), tmp_path).startswith("another worker")
    assert train._reason(ValueError("first line\nsecond line"), tmp_path) == "first line"
    assert train._reason(KeyError(), tmp_path) == "KeyError"


@pytest.fixture
def workers():
    """Two workers of which the first listens to SIGUSR1, and the calls of each one's action."""
    previous = signal.getsignal(signal.SIGUSR1)
    workers, calls = [Stop(), Stop()], [[], []]
    for stop, mine in zip(reversed(workers), reversed(calls), strict=True):  # the last to listen has the handler
        stop.listen(signal.SIGUSR1, lambda mine=mine: mine.append("act"))
    yield workers, calls
    signal.signal(signal.SIGUSR1, previous)


def _update(workers):
    """One update: each worker sees the logs of all."""
    logs = [{"loss": 1.0, **stop.logged()} for stop in workers]
    for stop in workers:
        stop.seen(logs)


def test_workers_agree_to_stop_after_one_update(workers):
    workers, calls = workers
    _update(workers)
    assert calls == [[], []]
    os.kill(os.getpid(), signal.SIGUSR1)
    assert calls == [[], []] and not any(stop.agreed for stop in workers)
    _update(workers)
    assert calls == [["act"], ["act"]] and all(stop.agreed for stop in workers)


def test_the_action_runs_once(workers):
    workers, calls = workers
    os.kill(os.getpid(), signal.SIGUSR1)
    _update(workers)
    _update(workers)
    assert calls == [["act"], ["act"]]


def test_logs_of_validation_and_of_other_tasks_ask_for_nothing():
    stop = Stop()
    stop.seen([{"loss": 1.0}, {}])
    assert not stop.agreed
