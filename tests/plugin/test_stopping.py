"""The stop that all workers agree on."""

import os
import signal

import pytest

from mt_ls.plugin.stopping import Stop


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


def test_a_signal_to_one_worker_stops_both_after_the_same_update(workers):
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
