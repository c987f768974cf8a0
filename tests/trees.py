"""Copies of the repository in which recipes run as a user runs them."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def copy_of_the_tree(folder):
    """The tracked and the new files of the repository, without what .gitignore names."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def with_environment(folder):
    """A copy of the tree with this environment as its .venv."""
    copy_of_the_tree(folder)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


def fresh(tree, folder):
    """A copy of such a tree without what recipes made in it: of the code as it was, whatever is edited meanwhile."""
    made = shutil.ignore_patterns("data-bin", "runs", "out")
    return Path(shutil.copytree(tree, folder, symlinks=True, ignore=made, dirs_exist_ok=True))


def start_recipe(tree, path, *arguments, log=None, **environment):
    """A recipe at work, in a session of its own; what it tells goes to ``log``, or to its pipes."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    if log:
        streams = {"stdout": log, "stderr": log}
    return subprocess.Popen(
        ["bash", f"recipes/{path}", *map(str, arguments)],
        cwd=tree,
        start_new_session=True,
        env={**os.environ, **environment},
        **streams,
    )


def run_recipe(tree, path, *arguments, **environment):
    """The finished process of a recipe, with its text output."""
    process = start_recipe(tree, path, *arguments, **environment)
    out, err = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)
