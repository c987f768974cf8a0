"""Commands as a user runs them, with the interpreter of the running tests, and waits for what they do."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

MODEL = shlex.split(
    "--user-dir mt_ls --task translation_with_calibration --arch transformer_mt_ls_micro "
    "--criterion label_smoothed_cross_entropy_with_calibration --label-smoothing 0.1 --share-all-embeddings "
    "--optimizer adam --lr 0.005 --lr-scheduler inverse_sqrt --warmup-updates 40 --dropout 0.1 --cpu --num-workers 0 "
    "--no-progress-bar --log-format simple --seed 1"
)
"""fairseq-train's options for a small Transformer with the plugin on a CPU."""

SIZE = ["--max-tokens", "600", "--max-update", "120"]
"""The shared model's batches and number of updates: about three epochs, 10 seconds."""


def command(name: str, *arguments: object) -> list[str]:
    """The command line of a script that this environment has installed."""
    return [str(Path(sysconfig.get_path("scripts"), name)), *map(str, arguments)]


def module(name: str, *arguments: object, workers: int = 1) -> list[str]:
    """The command line of ``python -m name``, under torchrun where there are several workers."""
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(workers)] if workers > 1 else []
    return [sys.executable, *launch, "-m", name, *map(str, arguments)]


def train_command(data: Path, save_dir: Path, *options: object) -> list[str]:
    """fairseq-train of the small Transformer; needs a size, such as `SIZE`."""
    return command("fairseq-train", data, *MODEL, "--no-epoch-checkpoints", "--save-dir", save_dir, *options)


def run(arguments: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    """The finished process of a command in the repository's root, or in ``cwd``, with its text output."""
    return subprocess.run(arguments, **{"cwd": ROOT, "capture_output": True, "text": True, **options})


@contextlib.contextmanager
def started(arguments: list[str], log: Path, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A command at work in the repository's root, in a session of its own, with its output in the file ``log``. What is
    left of the session when the block ends is killed."""
    with log.open("w") as output:
        options = {"cwd": ROOT, "stdout": output, "stderr": output, **options}
        process = subprocess.Popen(arguments, start_new_session=True, text=True, **options)
        try:
            yield process
        finally:
            kill_session(process)


def kill_session(process: subprocess.Popen[Any]) -> None:
    """Send SIGKILL to a process that leads its session and to all in its group, and wait for its end."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_until(
    event: Callable[[], Any],
    process: subprocess.Popen[Any] | None = None,
    seconds: float = 120,
    log: Path | None = None,
    pause: float = 0.02,
) -> None:
    """Return when ``event()`` is true, asked every ``pause`` seconds. Raises AssertionError, with the end of ``log``,
    when ``process`` has ended without the event, or after ``seconds``, which only bound a test that hangs."""
    deadline = time.monotonic() + seconds
    while True:
        ended = process is not None and process.poll() is not None
        if event():
            return
        end_of_log = log.read_text()[-2000:] if log and log.exists() else ""
        assert not ended, f"the process ended before the event: {end_of_log}"
        assert time.monotonic() < deadline, f"no such event in {seconds} s: {end_of_log}"
        time.sleep(pause)


def says(path: Path, text: str) -> bool:
    """Whether a file exists and contains a text."""
    return path.exists() and text in path.read_text()


def descendants(pid: int) -> list[int]:
    """The processes that a process has started, and those that they have started; parents come before children."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    below = sorted(children.get(pid, []))
    for child in below:
        below.extend(sorted(children.get(child, [])))
    return below


def workers_of(pid: int) -> list[int]:
    """The workers of mt_ls.train that torchrun has started, where a process is torchrun or has started it."""
    processes = [(process, _arguments(process)) for process in (pid, *descendants(pid))]
    return [
        process
        for process, arguments in processes
        if "mt_ls.train" in arguments and not any(word.startswith("--nproc-per-node") for word in arguments)
    ]


def _arguments(pid: int) -> list[str]:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return []


def logged(text: str, key: str) -> float:
    """The last value that a log of fairseq gives for a key."""
    return float(re.findall(rf"{key}[ =]([-\d.e]+)", text)[-1])


def documented(section: str, program: str) -> list[str]:
    """The arguments of the first whole command of a program in a section of docs/usage.md, without redirections."""
    text = (ROOT / "docs" / "usage.md").read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    lines = re.findall(rf"^{program} (?!\.\.\.)(?:.*\\\n)*.*$", text, re.M)
    words = shlex.split(lines[0].replace("\\\n", " ").replace("$(python -m mt_ls)", str(ROOT / "mt_ls")))
    return [word for word in words[1:] if not word.startswith("<")]
