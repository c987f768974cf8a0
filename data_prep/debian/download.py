"""The files of `manifest`: from a folder, or from Debian by apt with folders of its own."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm

from .. import DataError, sources
from .manifest import SUITE, Package

_AT_ONCE = 10
"""Packages that apt gets at a time: a download that was stopped goes on after them."""
_OLD = "put the package, from snapshot.debian.org, into a folder with the others for --source"
_EXPANDED: dict[str, Callable[[bytes], bytes]] = {
    ".xz": lzma.decompress,
    ".bz2": bz2.decompress,
    ".gz": gzip.decompress,
}


def from_folder(folder: Path, packages: Sequence[Package]) -> dict[Package, Path]:
    """The files in a folder. Raises DataError if one of them is missing, or is not the pinned one."""
    found = {}
    for package in tqdm(packages, desc="checking packages", unit="file", disable=None):
        path = folder / package.file
        if not path.exists() and package.is_index:
            path = next((p for p in map(path.with_suffix, _EXPANDED) if p.exists()), path)
        if not path.is_file():
            raise DataError(f"{path}: missing; {_advice(package)}")
        sources.check_sha256(path, package.sha256, expanded=_EXPANDED.get(path.suffix))
        found[package] = path
    return found


def text_of_index(path: Path) -> str:
    """The text of an index of descriptions, compressed or not."""
    expanded = _EXPANDED.get(path.suffix, bytes)
    return expanded(path.read_bytes()).decode("utf-8")


def from_debian(packages: Sequence[Package]) -> dict[Package, Path]:
    """The files in the cache, downloaded if they are not there. Raises DataError where apt cannot get one."""
    cache = sources.cache_folder() / "debian"
    missing = [package for package in packages if not (cache / package.file).exists()]
    if missing:
        _download(missing, cache)
    return from_folder(cache, packages)


def _download(packages: Sequence[Package], cache: Path) -> None:
    if not shutil.which("apt-get"):
        raise DataError(
            f"apt-get is not on this machine, and {len(packages)} files of Debian are missing in {cache}; put them "
            "into a folder and name it with --source (their names and hashes: data_prep/debian/packages.tsv)"
        )
    cache.mkdir(parents=True, exist_ok=True)
    n_bytes = sum(package.n_bytes for package in packages)
    with (
        tempfile.TemporaryDirectory(dir=cache) as aside,
        tqdm(total=n_bytes, desc=f"packages to {cache}", unit="B", unit_scale=True, disable=None) as bar,
    ):
        apt = _Apt(Path(aside))
        apt.run("update", "is deb.debian.org reachable? Put the files into a folder and name it with --source")
        archives = [package for package in packages if not package.is_index]
        for first in range(0, len(archives), _AT_ONCE):
            some = archives[first : first + _AT_ONCE]
            apt.run("download", _OLD, *(f"{package.name}={package.version}" for package in some))
            for package in some:
                _keep(Path(aside) / package.file, package, cache)
                bar.update(package.n_bytes)
        for package in packages:
            if package.is_index:
                lists = sorted((Path(aside) / "state" / "lists").glob(f"*_{package.name}"))
                if not lists:
                    raise DataError(f"apt-get update: the suite has no {package.name}; {_advice(package)}")
                _keep(lists[0], package, cache)
                bar.update(package.n_bytes)


def _keep(path: Path, package: Package, cache: Path) -> None:
    """Move a file into the cache. Raises DataError where it is not the pinned one."""
    if not path.exists():
        raise DataError(f"apt-get download: wrote no {package.file}; {_advice(package)}")
    sources.check_sha256(path, package.sha256)
    os.replace(path, cache / package.file)


def _advice(package: Package) -> str:
    """The remedy where a file cannot be had: Debian's snapshots keep the files that leave a suite."""
    if package.is_index:
        return (
            f"put it, from dists/{SUITE}/main/i18n of snapshot.debian.org, into a folder with the others for --source"
        )
    return f"put {package.file}, from snapshot.debian.org, into a folder with the others for --source"


class _Apt:
    """apt with lists, caches and sources in a folder: the machine's own are neither read nor changed.

    Signatures are not checked, since every file is pinned by its hash; so it works without Debian's keys.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in ("state/lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True)
        (folder / "status").touch()
        (folder / "sources.list").write_text(f"deb [trusted=yes] http://deb.debian.org/debian {SUITE} main\n")
        settings = {
            "APT::Architecture": "amd64",
            "APT::Architectures": "amd64",
            "APT::Sandbox::User": "root",
            "APT::Update::Error-Mode": "any",  # a list that cannot be fetched is an error
            "Acquire::Languages": "en,de",
            "Acquire::GzipIndexes": "false",
            "Dir::State": folder / "state",
            "Dir::State::lists": folder / "state" / "lists",
            "Dir::State::status": folder / "status",
            "Dir::Cache": folder / "cache",
            "Dir::Etc::SourceList": folder / "sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
        }
        self._options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]

    def run(self, action: str, advice: str, *words: str) -> None:
        """Run apt-get in the folder. Raises DataError with the line in which it says why it failed."""
        result = subprocess.run(
            ["apt-get", "-qq", *self._options, action, *words],
            cwd=self._folder,
            capture_output=True,
            text=True,
            env={**os.environ, "LC_ALL": "C"},
        )
        if result.returncode:
            lines = [line for line in result.stderr.splitlines() if line.startswith("E: ")] or ["E: no reason"]
            raise DataError(f"apt-get {action} failed ({lines[0].removeprefix('E: ')}); {advice}")
