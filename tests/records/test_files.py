"""Records files: a line is there whole or not at all."""

import multiprocessing

import pytest

from mt_ls.records import RecordError, append, read, written_whole


def test_records_are_read_in_their_order(tmp_path, record):
    path = tmp_path / "deep" / "records.jsonl"
    for temperature in (2.0, 1.0, 3.0):
        append(path, record(temperature=temperature))
    assert [r.temperature for r in read(path)] == [2.0, 1.0, 3.0]


def test_a_torn_line_is_skipped_and_then_replaced(tmp_path, record):
    path = tmp_path / "records.jsonl"
    append(path, record())
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    assert len(read(path)) == 1
    append(path, record(temperature=2.0))
    assert [r.temperature for r in read(path)] == [1.0, 2.0]


def _append_many(path, records):
    for record in records:
        append(path, record)


def test_writers_do_not_mix_their_lines(tmp_path, record):
    path = tmp_path / "records.jsonl"
    context = multiprocessing.get_context("fork")
    workers = [
        context.Process(target=_append_many, args=(path, [record(temperature=100.0 * k + i + 1) for i in range(20)]))
        for k in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len({r.temperature for r in read(path)}) == 60


def test_a_bad_line_is_named(tmp_path, record):
    path = tmp_path / "records.jsonl"
    append(path, record())
    with path.open("a") as file:
        file.write('{"run": 1}\n')
    append(path, record())
    with pytest.raises(RecordError, match=r"records\.jsonl:2: not a record"):
        read(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(RecordError, match=r"records\.jsonl: cannot be read"):
        read(tmp_path / "records.jsonl")
    (tmp_path / "records.jsonl").write_bytes(b"\xff\n")
    with pytest.raises(RecordError, match=r"records\.jsonl: cannot be read"):
        read(tmp_path / "records.jsonl")


def test_a_record_that_is_not_finite_is_not_written(tmp_path, record):
    with pytest.raises(RecordError, match="not finite"):
        append(tmp_path / "records.jsonl", record(nll=float("nan")))
    assert not any(tmp_path.iterdir())


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "x"
    with pytest.raises(RuntimeError), written_whole(path) as aside:
        aside.write_text("half")
        raise RuntimeError
    assert list(path.parent.iterdir()) == []
    with written_whole(path) as aside:
        aside.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole" and list(path.parent.iterdir()) == [path]
