"""Copies of the code in which recipes run as a user runs them, in the environment of the running tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

from commands import ROOT

_NO_CODE = shutil.ignore_patterns(
    "__pycache__", "published", *(f"*.{kind}" for kind in ("svg", "json", "jsonl", "npz"))
)


def copy_of_the_tree(folder: Path) -> Path:
    """The part of the repository that a recipe needs: the code without published evidence."""
    for name in ("mt_ls", "data_prep", "analysis", "recipes"):
        shutil.copytree(ROOT / name, folder / name, ignore=_NO_CODE, dirs_exist_ok=True)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def fresh(tree: Path, folder: Path) -> Path:
    """A copy of such a copy without what recipes made in it: later edits of the repository do not reach it."""
    results = shutil.ignore_patterns("data-bin", "runs", "out")
    return Path(shutil.copytree(tree, folder, symlinks=True, ignore=results, dirs_exist_ok=True))


def environment_of(**changes: str) -> dict[str, str]:
    """The variables of a recipe that uses this environment as it is (MT_LS_VENV), with changes."""
    return {**os.environ, "MT_LS_VENV": sys.prefix, **changes}


def start_recipe(
    tree: Path,
    path: str | Path,
    *arguments: object,
    log: IO[str] | None = None,
    cwd: Path | None = None,
    **environment: str,
) -> subprocess.Popen[str]:
    """A recipe at work in a session of its own, in the tree or in ``cwd``; its output goes to ``log``, or to two
    pipes."""
    return subprocess.Popen(
        ["bash", str(Path("recipes", path)), *map(str, arguments)],
        cwd=cwd or tree,
        start_new_session=True,
        env=environment_of(**environment),
        stdout=log or subprocess.PIPE,
        stderr=log or subprocess.PIPE,
        text=True,
    )


def run_recipe(
    tree: Path, path: str | Path, *arguments: object, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[Any]:
    """The finished process of a recipe, with its text output. ``path`` is in the tree's recipes, or absolute."""
    process = start_recipe(tree, path, *arguments, cwd=cwd, **environment)
    out, err = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)
