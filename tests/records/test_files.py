"""Records files, written whole or not at all; hashes, commits and versions."""

import multiprocessing
import subprocess

import numpy
import pytest

import mt_ls
from mt_ls.records import RecordError, append, code_hash, provenance, read, sha256_of, versions, written_whole


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


def test_a_line_may_be_torn_inside_a_character(tmp_path, record):
    path = tmp_path / "records.jsonl"
    append(path, record())
    whole = path.read_bytes()
    append(path, record(run="größe", temperature=2.0))
    path.write_bytes(path.read_bytes()[: len(whole) + path.read_bytes()[len(whole) :].index("ö".encode()) + 1])
    assert len(read(path)) == 1


def test_a_file_of_something_else_is_not_taken_for_a_torn_line(tmp_path, record):
    (tmp_path / "config.json").write_text('{"model": "mine"}')  # as json.dump leaves it, without a line end
    for use in (read, lambda path: append(path, record())):
        with pytest.raises(RecordError, match=r"config\.json: ends with a line that is no part of a record"):
            use(tmp_path / "config.json")
    assert (tmp_path / "config.json").read_text() == '{"model": "mine"}'


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


def test_sha256_is_that_of_the_standard(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    assert sha256_of(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "bc").write_bytes(b"bc")
    assert sha256_of(tmp_path / "a", tmp_path / "bc") == sha256_of(tmp_path / "x")


def _git(folder, *arguments):
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder with a committed file, in the place of the package."""
    (tmp_path / "x.py").write_text("x = 1\n")
    _git(tmp_path, "init", "-q")
    _git(tmp_path, "add", "x.py")
    _git(tmp_path, "commit", "-q", "-m", "x")
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    return tmp_path


def test_the_code_is_known_by_its_commit(checkout):
    commit = _git(checkout, "rev-parse", "HEAD")
    (checkout / "untracked").touch()
    assert code_hash() == commit and len(commit) == 40
    (checkout / "x.py").write_text("x = 2\n")
    assert code_hash() == f"{commit}+dirty"


def test_code_without_a_checkout_is_known_by_its_sources(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "x.py").write_text("x = 1\n")
    before = code_hash()
    (tmp_path / "x.txt").write_text("no source")
    assert code_hash() == before and len(before) == 64
    (tmp_path / "x.py").write_text("x = 2\n")
    assert code_hash() != before
    monkeypatch.setenv("PATH", "")
    assert len(code_hash()) == 64


def test_versions_are_those_of_what_is_installed():
    assert versions("numpy", "no-such-distribution") == {"mt_ls": mt_ls.__version__, "numpy": numpy.__version__}
