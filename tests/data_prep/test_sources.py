"""The cache, pinned downloads, data sets of the hub, and folders that appear whole."""

import hashlib
import json
import shutil
import subprocess
import sys

import datasets
import pytest
from conftest import ROOT

from data_prep import DataError, sources


def test_the_cache_is_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("MT_LS_CACHE", str(tmp_path))
    assert sources.cache_folder() == tmp_path
    monkeypatch.setenv("MT_LS_CACHE", "")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert sources.cache_folder() == tmp_path / "home" / ".cache" / "mt_ls"


def test_a_local_copy_is_a_folder_that_exists(tmp_path, monkeypatch):
    monkeypatch.delenv("MT_LS_DATA", raising=False)
    assert sources.local_copy("corpus") is None
    monkeypatch.setenv("MT_LS_DATA", str(tmp_path))
    assert sources.local_copy("corpus") is None
    (tmp_path / "corpus").mkdir()
    assert sources.local_copy("corpus") == str(tmp_path / "corpus")


@pytest.mark.parametrize(
    ("source", "is_hub_id"),
    [("owner/name", True), ("./owner/name", False), ("/data/x", False), ("~/data", False), ("name", False)],
)
def test_a_hub_id_has_an_owner_and_is_no_path(source, is_hub_id):
    assert sources.is_hub_id(source) == is_hub_id


def test_a_local_folder_is_loaded_as_the_hub_would_be(tmp_path, monkeypatch):
    monkeypatch.setenv("MT_LS_CACHE", str(tmp_path / "cache"))
    datasets.Dataset.from_list([{"en": "a", "de": "b"}]).to_parquet(tmp_path / "corpus" / "train.parquet")
    data = sources.load_hub(str(tmp_path / "corpus"), None)
    assert data["train"][0] == {"en": "a", "de": "b"}
    assert (tmp_path / "cache" / "datasets").is_dir()


def test_a_data_set_that_cannot_be_loaded_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("MT_LS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        DataError, match=r"empty: cannot be loaded \(.*\); give a local copy with --source DIR"
    ) as error:
        sources.load_hub(str(tmp_path / "empty"), None)
    assert "\n" not in str(error.value)


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder of wheels as the package index, with one wheel in it, and an empty cache."""
    folder = tmp_path / "index"
    folder.mkdir()
    (folder / "toy-1.0-py3-none-any.whl").write_bytes(b"a wheel")
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "MT_LS_CACHE": str(tmp_path / "c")}.items():
        monkeypatch.setenv(name, value)
    return folder


def _pip(monkeypatch, index, returncode=0, stderr=""):
    """Replace pip by a copy of the index's wheels into pip's folder."""
    commands = []

    def run(command, **options):
        commands.append(command)
        if returncode == 0:
            shutil.copytree(index, command[command.index("-d") + 1], dirs_exist_ok=True)
        return subprocess.CompletedProcess(command, returncode, "", stderr)

    monkeypatch.setattr(sources.subprocess, "run", run)
    return commands


def test_a_wheel_is_downloaded_once(index, monkeypatch, capsys):
    commands = _pip(monkeypatch, index)
    for _ in range(2):
        wheel = sources.download_wheel("toy==1.0", "toy-1.0-py3-none-any.whl", "1 MB")
        assert wheel.read_bytes() == b"a wheel" and wheel.parent == sources.cache_folder() / "wheels"
    assert len(commands) == 1 and commands[0][-1] == "toy==1.0" and "--no-deps" in commands[0]
    assert capsys.readouterr().err.count("downloading toy-1.0-py3-none-any.whl (1 MB)") == 1
    assert [path.name for path in wheel.parent.iterdir()] == [wheel.name]


def test_a_download_that_fails_is_one_line_and_leaves_nothing(index, monkeypatch):
    _pip(monkeypatch, index, returncode=1, stderr="WARNING: no network\nERROR: no toy==1.0\n")
    with pytest.raises(
        DataError, match=r"toy==1\.0: download failed \(ERROR: no toy==1\.0\); put toy\.whl into a folder"
    ):
        sources.download_wheel("toy==1.0", "toy.whl", "1 MB")
    assert list((sources.cache_folder() / "wheels").iterdir()) == []


def test_a_file_is_checked_against_its_hash(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"content")
    expected = hashlib.sha256(b"content").hexdigest()
    assert sources.sha256_of(path) == expected
    sources.check_sha256(path, expected)
    with pytest.raises(DataError, match=rf"file: sha256 is {expected[:16]}\.\.\., expected 0{{16}}"):
        sources.check_sha256(path, "0" * 64)


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    out = tmp_path / "data" / "corpus"
    with pytest.raises(KeyboardInterrupt), sources.scratch_beside(out) as aside:
        (aside / "half").touch()
        raise KeyboardInterrupt
    assert [path.name for path in out.parent.iterdir()] == [".corpus.lock"]
    with sources.scratch_beside(out) as aside:
        (aside / "new").touch()
        sources.move_into_place(aside, out)
    assert [path.name for path in out.iterdir()] == ["new"]


def test_a_folder_replaces_the_one_before(tmp_path):
    out = tmp_path / "corpus"
    out.mkdir()
    (out / "old").touch()
    with sources.scratch_beside(out) as aside:
        (aside / "new").touch()
        assert (out / "old").exists()
        sources.move_into_place(aside, out)
    assert [path.name for path in out.iterdir()] == ["new"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".corpus.lock", "corpus"]


def test_the_scratch_folder_of_a_killed_process_is_removed(tmp_path):
    (tmp_path / ".corpus.12345").mkdir()
    (tmp_path / ".corpus2.12345").mkdir()  # of another corpus
    with sources.scratch_beside(tmp_path / "corpus") as aside:
        assert aside.exists() and not (tmp_path / ".corpus.12345").exists()
    assert (tmp_path / ".corpus2.12345").exists()


def test_a_second_process_waits_and_then_has_nothing_to_do(tmp_path):
    out, prepared = tmp_path / "corpus", tmp_path / "prepared"
    command = [sys.executable, "-m", "data_prep", "synthetic_digits", "--out"]
    subprocess.run([*command, str(prepared)], cwd=ROOT, check=True, capture_output=True)
    with sources.scratch_beside(out) as aside:
        second = subprocess.Popen(
            [*command, str(out)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert "another process is writing" in second.stderr.readline()
        shutil.copytree(prepared, aside, dirs_exist_ok=True)
        sources.move_into_place(aside, out)
    stdout, _ = second.communicate(timeout=120)
    assert second.returncode == 0 and f"{out} is up to date" in stdout


def test_a_folder_is_up_to_date_if_its_manifest_has_the_same_fields(tmp_path):
    assert not sources.is_up_to_date(tmp_path, {"seed": 1})
    (tmp_path / "manifest.json").write_text("no JSON")
    assert not sources.is_up_to_date(tmp_path, {"seed": 1})
    (tmp_path / "manifest.json").write_text(json.dumps({"seed": 1, "hash": "x"}))
    assert sources.is_up_to_date(tmp_path, {"seed": 1})
    assert not sources.is_up_to_date(tmp_path, {"seed": 2})
    assert not sources.is_up_to_date(tmp_path, {"seed": 1, "corpus": "synthetic"})
