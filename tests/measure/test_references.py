"""Comparisons in other processes: those of this process, and an end for every process whatever happens."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from commands import ROOT
from fake_model import FakeModel

from mt_ls.measure import references
from mt_ls.measure.plan import Plan, measure
from mt_ls.measure.protocol import MeasureError
from mt_ls.measure.references import References, scoring_processes
from mt_ls.records import read


@pytest.fixture
def pool():
    with scoring_processes() as pool:
        yield pool


def _hypotheses(model):
    return [(sentence, *ids.tolist()) for sentence, _, ids in model.search(3, 1.0).best("test", [range(31)], [1.0])]


def _plain(comparison):
    return (*comparison[:3], {name: counts.tolist() for name, counts in comparison.statistics.items()})


@pytest.mark.parametrize("together", [1, 7, 64])
def test_other_processes_find_the_same(pool, monkeypatch, together):
    monkeypatch.setattr(references, "_TOGETHER", together)
    model = FakeModel()
    here, there = References(model, "test"), References(model, "test", pool)
    begun = [there.compare(*hypothesis) for hypothesis in _hypotheses(model)]
    there.flush()
    for hypothesis, comparison in zip(_hypotheses(model), begun, strict=True):
        assert _plain(there.result(comparison)) == _plain(here.result(here.compare(*hypothesis)))


def test_equal_hypotheses_are_compared_once(pool):
    there = References(FakeModel(), "test", pool)
    assert there.compare(3, 1, 2, 0) is there.compare(3, 1, 2, 0) is not there.compare(4, 1, 2, 0)
    there.flush()
    there.flush()


def test_records_do_not_depend_on_the_processes(tmp_path, pool):
    references._scorer.cache_clear()  # as in a process that compares nothing itself
    plan = Plan(temperatures=(0.5, 2.0), own_search=True)
    measure(FakeModel(), plan, tmp_path / "pool" / "records.jsonl", pool=pool)
    measure(FakeModel(), plan, tmp_path / "alone" / "records.jsonl")
    alone, others = (read(tmp_path / name / "records.jsonl") for name in ("alone", "pool"))
    for record, other in zip(alone, others, strict=True):
        assert {**json.loads(record.to_json()), "seconds": 0} == {**json.loads(other.to_json()), "seconds": 0}
        items = [(tmp_path / name / record.items).read_bytes() for name in ("alone", "pool")]
        assert items[0] == items[1]


def test_an_error_of_a_process_is_the_error_of_the_comparison(pool):
    there = References(FakeModel(), "test", pool)
    there._model.eos = None
    there._text[3] = None  # no text
    comparison = there.compare(3, 1, 2, 0)
    there.flush()
    with pytest.raises(Exception, match="NoneType"):
        there.result(comparison)


def test_a_process_that_was_killed_is_named(pool):
    there = References(FakeModel(), "test", pool)
    comparison = there.compare(3, 1, 2, 0)
    for process in list(pool._processes.values()):
        os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(MeasureError, match="a process that scores translations was ended"):
        there.flush()
        there.result(comparison)
    there.compare(4, 1, 2, 0)
    with pytest.raises(MeasureError, match="a process that scores translations was ended"):
        there.flush()


WAITS = """
import time
from mt_ls.measure.references import scoring_processes
with scoring_processes() as pool:
    print(*pool._processes, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_command(end):
    """Ctrl-C goes to all of them, as from a terminal; the others to the command alone."""
    process = subprocess.Popen(
        [sys.executable, "-c", WAITS],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    pids = list(map(int, process.stdout.readline().split()))
    assert pids
    (os.killpg if end == signal.SIGINT else os.kill)(process.pid, end)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == (1 if end == signal.SIGINT else -end) or process.returncode == -signal.SIGINT
    assert errors.count("Traceback") == (end == signal.SIGINT)  # that of the command itself
    deadline = time.monotonic() + 10
    while any(map(_lives, pids)):
        assert time.monotonic() < deadline, pids
        time.sleep(0.05)


def _lives(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
