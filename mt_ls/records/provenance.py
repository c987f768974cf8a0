"""Where a number comes from: hashes of files, the commit of the code, versions of what it ran on."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import subprocess
from pathlib import Path

from .. import __version__

PACKAGE = Path(__file__).resolve().parents[1]


def sha256_of(*paths: str | Path) -> str:
    """Hex SHA-256 of the contents of files, one after the other."""
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def code_hash() -> str:
    """The commit of the checkout that this package runs from, with "+dirty" if tracked files differ.

    Where there is no git, a hash of the package's own sources.
    """
    try:
        changed = _git("status", "--porcelain", "--untracked-files=no")
        return _git("rev-parse", "HEAD") + ("+dirty" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return sha256_of(*sorted(PACKAGE.rglob("*.py")))


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(PACKAGE), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def versions(*distributions: str) -> dict[str, str]:
    """Installed versions, {name: version}; a distribution that is not installed is absent. Ours is always there."""
    installed = {"mt_ls": __version__}
    for name in distributions:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            installed[name] = importlib.metadata.version(name)
    return installed
