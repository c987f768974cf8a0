"""Windows hold every sentence once, in order; a model needs the methods of the protocol alone."""

import os
import sys

import pytest
from commands import ROOT, run
from fake_model import FakeModel

from mt_ls.measure import windows
from mt_ls.measure.protocol import MeasureError
from mt_ls.measure.windows import Window, regrouped
from mt_ls.measure.workers import Workers
from mt_ls.records import read


def test_windows_hold_every_sentence_once_in_order(monkeypatch):
    monkeypatch.setattr(windows, "WINDOW_SENTENCES", 10)
    cut = list(windows.windows(FakeModel(), "test"))
    assert [(window.first, window.n) for window in cut] == [(0, 10), (10, 10), (20, 10), (30, 1)]
    for window in cut:
        sentences = sorted(sentence for batch in window.batches for sentence in batch)
        window.check_whole(sentences)


def test_workers_share_the_batches_of_each_window(monkeypatch):
    monkeypatch.setattr(windows, "WINDOW_SENTENCES", 20)
    alone = list(windows.windows(FakeModel(), "test"))
    parts = [list(windows.windows(FakeModel(), "test", Workers(3, rank))) for rank in range(3)]
    for whole, *shared in zip(alone, *parts, strict=True):
        batches = [batch for window in shared for batch in window.batches]
        assert sorted(batches) == sorted(whole.batches)
        assert all(window[:2] == whole[:2] for window in shared)


@pytest.mark.parametrize("n", [2, 8])
def test_no_worker_is_idle_where_batches_are_few(n):
    model = FakeModel()
    model.batches = lambda split, sentences: [list(sentences)]
    parts = [list(windows.windows(model, "test", Workers(n, rank))) for rank in range(n)]
    shares = [batch for (window,) in parts for batch in window.batches]
    assert len(shares) == n and max(map(len, shares)) - min(map(len, shares)) <= 1
    assert sorted(sentence for batch in shares for sentence in batch) == list(range(31))
    (window,) = windows.windows(model, "test")
    assert window.batches == [list(range(31))]


@pytest.mark.parametrize("sentences", [[5, 6], [5, 6, 7, 8], [5, 5, 6], [4, 5, 6]])
def test_a_window_that_is_not_whole_is_an_error(sentences):
    with pytest.raises(MeasureError, match=f"of sentences 5 to 7 {len(sentences)} were measured, and not all 3"):
        Window(5, 3, []).check_whole(sentences)


def test_regrouped_batches_are_full_and_keep_the_order():
    batches = [[9 * i + j for j in range(9)] for i in range(10)]
    chosen = range(0, 90, 3)
    new = regrouped(batches, chosen)
    assert [len(batch) for batch in new] == [24, 6]
    assert [sentence for batch in new for sentence in batch] == list(chosen)
    assert regrouped(batches, set()) == []


CODE = """
import sys
from pathlib import Path
from fake_model import FakeModel
from mt_ls.measure.plan import Plan, measure

measure(FakeModel(), Plan(temperatures=(0.5,)), Path(sys.argv[1]))
measure(FakeModel(), Plan(pieces=("der", "die", "das")), Path(sys.argv[1]))
loaded = [name for name in sys.modules if name.partition(".")[0] == "fairseq" or name.startswith("mt_ls.plugin")]
assert not loaded, loaded
"""


def test_a_model_in_memory_is_measured_in_every_mode_without_fairseq(tmp_path):
    path = tmp_path / "records.jsonl"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    process = run([sys.executable, "-c", CODE, str(path)], env=environment)
    assert process.returncode == 0, process.stderr
    assert {record.mode for record in read(path)} == {"forced", "beam", "activations"}
    assert {record.model.corpus for record in read(path)} == {"fake"}
