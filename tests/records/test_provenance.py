"""Hashes, commits and versions."""

import subprocess

import numpy
import pytest

import mt_ls
from mt_ls.records import code_hash, provenance, sha256_of, versions


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
