"""Faults that are really brought about, one a function.

A fault is survived if the command then ends with one clear line and a status that is not 0, or with the right result;
never if it leaves output that only looks complete.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from commands import MODEL, module, run, says, wait_until, workers_of
from trees import fresh, run_recipe, start_recipe

from mt_ls.records import read

from .kills import DATA, RECIPE, RUN, Results

SMOKE = {"SCALE": "smoke", "ALPHAS": "0.1"}
CHECKPOINT = f"{RUN}/checkpoints/checkpoint_last.pt"


class Skipped(Exception):
    """A fault that cannot be brought about here; the message is the reason."""


def _assert_refused(process: subprocess.CompletedProcess[str], *words: str) -> None:
    """Assert that a command ended with one line of error that contains the words."""
    lines = [line for line in process.stderr.splitlines() if "error: " in line]
    assert process.returncode != 0 and len(lines) == 1, process.stderr[-2000:]
    assert "Traceback" not in process.stderr, process.stderr[-2000:]
    assert all(word.lower() in lines[0].lower() for word in words), lines[0]


@contextlib.contextmanager
def _small_disk(folder: Path, options: str) -> Iterator[Path]:
    disk = folder / "a small disk"
    disk.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)], capture_output=True)
    if mount.returncode:
        raise Skipped("mounting a small tmpfs needs root")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def _assert_every_stage_is_refused(tree: Path, disk: Path, *words: str) -> None:
    _assert_refused(run(module("data_prep", "synthetic", "--out", disk / "data" / "synthetic")))
    assert not (disk / "data" / "synthetic").exists()
    size = ["--max-tokens", 600, "--max-update", 3]
    _assert_refused(run(module("mt_ls.train", tree / DATA, *MODEL, *size, "--save-dir", disk / "save")))
    assert not (disk / "save" / "checkpoint_last.pt").exists()
    records = disk / "run" / "records.jsonl"
    options = ["--path", tree / CHECKPOINT, "--modes", "forced", "--cpu", "--records", records]
    _assert_refused(run(module("mt_ls.measure", tree / DATA, *options)), *words)
    assert not records.exists() or all((records.parent / str(record.items)).is_file() for record in read(records))
    _assert_refused(run(module("analysis.report", tree / RUN, "--out", disk / "report")), *words)
    assert not (disk / "report" / "report.html").exists()


def full_disk(tree: Path, folder: Path) -> None:
    with _small_disk(folder, "size=100k") as disk:
        _assert_every_stage_is_refused(tree, disk, "No space left")


def read_only_output(tree: Path, folder: Path) -> None:
    with _small_disk(folder, "ro") as disk:
        _assert_every_stage_is_refused(tree, disk, disk.name)


def cut_checkpoint(tree: Path, folder: Path) -> None:
    cut = folder / "checkpoint.pt"
    shutil.copy(tree / CHECKPOINT, cut)
    os.truncate(cut, cut.stat().st_size // 2)
    records = folder / "records.jsonl"
    _assert_refused(run(module("mt_ls.measure", tree / DATA, "--path", cut, "--records", records)), "cut")
    assert not records.exists()


def cut_records(tree: Path, folder: Path) -> None:
    """A last line that is cut is measured again; a line that is cut in the middle of the file is named."""
    copy = folder / "tree"
    shutil.copytree(tree, copy, symlinks=True)
    records, content = copy / RUN / "records.jsonl", (tree / RUN / "records.jsonl").read_bytes()
    records.write_bytes(content[: -len(content.splitlines()[-1]) // 2])
    process = run_recipe(copy, RECIPE, **SMOKE)
    assert process.returncode == 0 and not Results(copy).differences(Results(tree)), process.stderr[-2000:]
    (folder / "records.jsonl").write_bytes(content[:200] + b"\n" + content[200:])
    report = run(module("analysis.report", folder / "records.jsonl", "--out", folder / "out"))
    _assert_refused(report, "jsonl:1: not a record")


def cut_items(tree: Path, folder: Path) -> None:
    """The report names a file of items that is cut, or missing."""
    copy = folder / "run"
    shutil.copytree(tree / RUN, copy)
    records = read(copy / "records.jsonl")
    items = next(
        copy / str(record.items)
        for record in records
        if (record.mode, record.split, record.temperature) == ("forced", "test", 1.0)
    )
    os.truncate(items, items.stat().st_size // 2)
    _assert_refused(run(module("analysis.report", copy, "--out", folder / "out")), items.name, "measure again")
    items.unlink()
    _assert_refused(run(module("analysis.report", copy, "--out", folder / "out")), items.name, "missing")
    assert not (folder / "out" / "report.html").exists()


def two_at_once(tree: Path, folder: Path) -> None:
    copy = fresh(tree, folder)
    both = [start_recipe(copy, RECIPE, **SMOKE) for _ in range(2)]
    errors = [process.communicate()[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 1]
    refused = errors[[process.returncode for process in both].index(1)]
    assert f"error: another run is at work in {RUN}" in refused, refused[-2000:]
    assert not Results(copy).differences(Results(tree))


def jumping_clock(tree: Path, folder: Path) -> None:
    """The clock jumps back a day two seconds after each process starts; then files come from the future."""
    copy = fresh(tree, folder)
    (folder / "clock").mkdir()
    (folder / "clock" / "sitecustomize.py").write_text(
        "import time\nreal, start = time.time, time.time()\ntime.time = lambda: real() - 86400 * (real() - start > 2)\n"
    )
    process = run_recipe(copy, RECIPE, PYTHONPATH=str(folder / "clock"), **SMOKE)
    assert process.returncode == 0 and not Results(copy).differences(Results(tree)), process.stderr[-2000:]
    for path in copy.glob("runs/*/*"):
        os.utime(path, (time.time() + 10**8, time.time() + 10**8))
    process = run_recipe(copy, RECIPE, **SMOKE)
    assert process.returncode == 0 and "== training" not in process.stderr
    assert not Results(copy).differences(Results(tree))


def other_corpus(tree: Path, folder: Path) -> None:
    """The corpus changes after the training: the model of the old text is refused."""
    text = folder / "synthetic"
    shutil.copytree(tree / DATA / "text", text)
    lines = (text / "train.de").read_text().splitlines(keepends=True)
    (text / "train.de").write_text("".join([lines[0].replace(" ", " ganz ", 1), *lines[1:]]))
    copy = folder / "tree"
    shutil.copytree(tree, copy, symlinks=True)
    process = run_recipe(copy, RECIPE, MT_LS_DATA=str(folder), **SMOKE)
    _assert_refused(process, "holds a model of another command or other data")


def loss_that_is_not_finite(tree: Path, folder: Path) -> None:
    options = ["--max-tokens", 600, "--lr", "1e30", "--lr-scheduler", "fixed", "--save-interval-updates", 1]
    process = run(module("mt_ls.train", tree / DATA, *MODEL, *options, "--save-dir", folder))
    _assert_refused(process, "update 2: the loss or its gradient is not finite")
    assert (folder / "checkpoint_last.pt").is_file()


def dead_worker(tree: Path, folder: Path) -> None:
    copy = fresh(tree, folder)
    run_folder = "runs/iwslt14_smoke_a0.10_s1"
    process = start_recipe(copy, "iwslt14/run.sh", SCALE="smoke", ALPHAS="0.1", GPUS="2")
    wait_until(lambda: says(copy / run_folder / "train.log", "num_updates=50"), process)
    os.kill(workers_of(process.pid)[-1], signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"error: training {run_folder} ended" in errors, errors[-2000:]


FAULTS = {
    "a full disk, at every stage": full_disk,
    "read-only output, at every stage": read_only_output,
    "a checkpoint cut short": cut_checkpoint,
    "records cut in a line, the last and another": cut_records,
    "items cut short, and missing": cut_items,
    "two runs of one recipe at once": two_at_once,
    "a clock that jumps back, files from the future": jumping_clock,
    "a corpus that changes between stages": other_corpus,
    "a loss that is not finite": loss_that_is_not_finite,
    "a worker that dies": dead_worker,
}
QUICK = ("items cut short, and missing",)
"""The faults of the quick form: those that no unit test brings about."""
