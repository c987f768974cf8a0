"""One fault each, brought about for real. A fault is survived if what follows is one clear line and a status that is
not 0, or the right result; never an output that only looks complete."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from conftest import MODEL
from trees import ROOT, fresh, run_recipe, start_recipe

from mt_ls.records.record import read

from .kills import RECIPE, Finished

SMOKE = {"SCALE": "smoke", "ALPHAS": "0.1"}


class Skipped(Exception):
    """A fault that cannot be brought about here: the message says why."""


def _run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


def _refused(found: subprocess.CompletedProcess[str], *words: str) -> None:
    lines = [line for line in found.stderr.splitlines() if "error: " in line]
    assert found.returncode not in (0, None) and len(lines) == 1, found.stderr[-2000:]
    assert "Traceback" not in found.stderr, found.stderr[-2000:]
    assert all(word in lines[0] for word in words), lines[0]


@contextlib.contextmanager
def _small_disk(folder: Path, options: str) -> Iterator[Path]:
    disk = folder / "a small disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        raise Skipped("mounting a small tmpfs needs root")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def _every_stage_is_refused(tree: Path, disk: Path, *words: str) -> None:
    data, run = tree / "data-bin" / "synthetic_smoke", tree / "runs" / "synthetic_smoke_a0.10_s1"
    checkpoint = run / "checkpoints" / "checkpoint_last.pt"
    _refused(_run("data_prep", "synthetic", "--out", disk / "data" / "synthetic"))
    assert not (disk / "data" / "synthetic").exists()
    _refused(_run("mt_ls.train", data, *MODEL, "--max-tokens", 600, "--max-update", 3, "--save-dir", disk / "save"))
    assert not (disk / "save" / "checkpoint_last.pt").exists()
    _refused(
        _run(
            "mt_ls.measure",
            data,
            "--path",
            checkpoint,
            "--modes",
            "forced",
            "--cpu",
            "--records",
            disk / "run" / "records.jsonl",
        ),
        *words,
    )
    records = disk / "run" / "records.jsonl"
    assert not records.exists() or all((records.parent / str(r.arrays)).is_file() for r in read(records))
    _refused(_run("analysis.report", run, "--out", disk / "report"), *words)
    assert not (disk / "report" / "report.html").exists()


def full_disk(tree: Path, folder: Path) -> None:
    with _small_disk(folder, "size=100k") as disk:
        _every_stage_is_refused(tree, disk, "No space left")


def read_only_output(tree: Path, folder: Path) -> None:
    with _small_disk(folder, "ro") as disk:
        _every_stage_is_refused(tree, disk, "Read-only")


def cut_checkpoint(tree: Path, folder: Path) -> None:
    cut = folder / "checkpoint.pt"
    shutil.copy(tree / "runs" / "synthetic_smoke_a0.10_s1" / "checkpoints" / "checkpoint_last.pt", cut)
    os.truncate(cut, cut.stat().st_size // 2)
    records = folder / "records.jsonl"
    _refused(_run("mt_ls.measure", tree / "data-bin" / "synthetic_smoke", "--path", cut, "--records", records), "cut")
    assert not records.exists()


def cut_records(tree: Path, folder: Path) -> None:
    """A last line cut in half is measured again; a line cut in the middle of the file is named."""
    before = Finished(tree)
    run = tree / "runs" / "synthetic_smoke_a0.10_s1"
    records, content = run / "records.jsonl", (run / "records.jsonl").read_bytes()
    records.write_bytes(content[: -len(content.splitlines()[-1]) // 2])
    found = run_recipe(tree, RECIPE, **SMOKE)
    assert found.returncode == 0 and not Finished(tree).differs_from(before), found.stderr[-2000:]
    (folder / "records.jsonl").write_bytes(content[:200] + b"\n" + content[200:])
    _refused(_run("analysis.report", folder / "records.jsonl", "--out", folder / "out"), "jsonl:1: not a record")


def two_at_once(tree: Path, folder: Path) -> None:
    copy = fresh(tree, folder)
    both = [start_recipe(copy, RECIPE, **SMOKE) for _ in range(2)]
    told = [process.communicate()[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 1]
    loser = told[[process.returncode for process in both].index(1)]
    assert "error: another run is at work in runs/synthetic_smoke_a0.10_s1" in loser, loser[-2000:]
    assert not Finished(copy).differs_from(Finished(tree))


def jumping_clock(tree: Path, folder: Path) -> None:
    """A day back, two seconds after each process starts; and files from the future."""
    copy = fresh(tree, folder)
    (folder / "clock").mkdir()
    (folder / "clock" / "sitecustomize.py").write_text(
        "import time\nreal, start = time.time, time.time()\ntime.time = lambda: real() - 86400 * (real() - start > 2)\n"
    )
    found = run_recipe(copy, RECIPE, PYTHONPATH=str(folder / "clock"), **SMOKE)
    assert found.returncode == 0 and not Finished(copy).differs_from(Finished(tree)), found.stderr[-2000:]
    for path in copy.glob("runs/*/*"):
        os.utime(path, (time.time() + 10**8, time.time() + 10**8))
    found = run_recipe(copy, RECIPE, **SMOKE)
    assert found.returncode == 0 and "== training" not in found.stderr
    assert not Finished(copy).differs_from(Finished(tree))


def other_corpus(tree: Path, folder: Path) -> None:
    """The corpus changes after the training: the model is not taken for one of the new text."""
    text = folder / "synthetic"
    shutil.copytree(tree / "data-bin" / "synthetic_smoke" / "text", text)
    lines = (text / "train.de").read_text().splitlines(keepends=True)
    (text / "train.de").write_text("".join([lines[0].replace(" ", " ganz ", 1), *lines[1:]]))
    copy = folder / "tree"
    shutil.copytree(tree, copy, symlinks=True)
    found = run_recipe(copy, RECIPE, MT_LS_DATA=str(folder), **SMOKE)
    _refused(found, "holds a model of another command or other data")


def loss_that_is_not_finite(tree: Path, folder: Path) -> None:
    _refused(
        _run(
            "mt_ls.train",
            tree / "data-bin" / "synthetic_smoke",
            *MODEL,
            "--max-tokens",
            600,
            "--save-dir",
            folder,
            "--lr",
            "1e30",
            "--lr-scheduler",
            "fixed",
            "--save-interval-updates",
            1,
        ),
        "update 2: the loss or its gradient is not finite",
    )
    assert (folder / "checkpoint_last.pt").is_file()


def dead_worker(tree: Path, folder: Path) -> None:
    copy = fresh(tree, folder)
    process = start_recipe(copy, "iwslt14/run.sh", SCALE="smoke", ALPHAS="0.1", GPUS="2")
    log = folder / "runs" / "iwslt14_smoke_a0.10_s1" / "train.log"
    while process.poll() is None and not (log.exists() and "num_updates=50" in log.read_text()):
        time.sleep(0.02)
    workers = subprocess.run(["pgrep", "-g", str(process.pid), "-f", "mt_ls.train"], capture_output=True, text=True)
    start = time.perf_counter()
    os.kill(int(workers.stdout.split()[-1]), signal.SIGKILL)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1 and time.perf_counter() - start < 60
    assert "error: training runs/iwslt14_smoke_a0.10_s1 ended" in told, told[-2000:]


FAULTS = {
    "a full disk, at every stage": full_disk,
    "read-only output, at every stage": read_only_output,
    "a checkpoint cut short": cut_checkpoint,
    "records cut in a line, the last and another": cut_records,
    "two runs of one recipe at once": two_at_once,
    "a clock that jumps back, files from the future": jumping_clock,
    "a corpus that changes between stages": other_corpus,
    "a loss that is not finite": loss_that_is_not_finite,
    "a worker that dies": dead_worker,
}
QUICK = ("a checkpoint cut short", "a loss that is not finite")
