"""Time and memory of two calls in strict alternation, and the rows of results."""

from __future__ import annotations

import importlib.metadata
import json
import statistics
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from analysis.tables.benchmarks import RESULTS, kind, replaced, results
from mt_ls.records import code_hash, written_whole

ROOT = Path(__file__).resolve().parents[2]
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
DEVICE_OPTIONS = ["--cpu"] if DEVICE == "cpu" else []
"""fairseq's option for this device."""
NAMES_ON_A_GPU = ("criterion", "training", "vision", "measuring", "packing")
NAMES_ON_A_CPU = (
    "criterion",
    "training",
    "temperatures",
    "decoding",
    "bins",
    "vision",
    "measuring",
    "packing",
    "scale",
    "growth",
)
NAMES = NAMES_ON_A_CPU if DEVICE == "cpu" else NAMES_ON_A_GPU
"""The benchmarks of this device."""
COMMIT = code_hash()  # before the first result changes a tracked file
Row = dict[str, Any]


def seconds(call: Callable[[], Any]) -> float:
    """Wall-clock time of one call, with the work that it queued on a GPU."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    call()
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def device_seconds(call: Callable[[], Any]) -> float:
    """Time of one call on a GPU, between two events of its queue."""
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    call()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 1e3


def alternate(
    first: Callable[[], float], second: Callable[[], float], rounds: int, warm_up: int = 1
) -> tuple[list[float], list[float]]:
    """The values of both calls in ``rounds`` turns A B A B, after ``warm_up`` turns that do not count."""
    pairs = [(first(), second()) for _ in range(warm_up + rounds)][warm_up:]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def peak_memory(call: Callable[[], Any]) -> float:
    """MB by which one call raises the memory of this process at its peak (on a GPU: that which torch allocates)."""
    if DEVICE == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.max_memory_allocated()
        call()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    # Not ru_maxrss: it cannot be reset, and that of a child begins at that of its parent.
    Path("/proc/self/clear_refs").write_text("5")
    before = _resident("VmRSS")
    call()
    return _resident("VmHWM") - before


def _resident(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 2**10 for line in lines if line.startswith(field))


def row(
    benchmark: str,
    case: str,
    against: str,
    values: list[float],
    baseline: list[float],
    unit: str,
    target: str | None = None,
    **more: Any,
) -> Row:
    """One row of the results: ``values`` of mt_ls and those of the ``baseline``, which ``against`` names.

    The ratio is the median of the paired ratios, with the least and the greatest. ``target`` is a relation and a
    number, such as "<= 0.50".
    """
    ratios = [value / other for value, other in zip(values, baseline, strict=True)]
    return {
        "benchmark": benchmark,
        "case": case,
        "against": against,
        "ratio": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "mt_ls": statistics.median(values),
        "baseline": statistics.median(baseline),
        "unit": unit,
        "target": target,
        **more,
        "threads": torch.get_num_threads(),
        "device": device_name(),
        "gpu": DEVICE == "cuda",
        "versions": _versions(),
        "commit": COMMIT,
    }


def keep(rows: list[Row]) -> None:
    """Write the rows to the results file, in place of those of the same benchmarks on the same kind of device."""
    everything = sorted(replaced(results(), rows), key=lambda row: (kind(row), NAMES_ON_A_CPU.index(row["benchmark"])))
    with written_whole(RESULTS) as aside:
        aside.write_text("[\n" + ",\n".join(json.dumps(r) for r in everything) + "\n]\n")


def run(arguments: list[str], **options: Any) -> str:
    """The output of a command in the repository's root. Ends the benchmark with its last lines if it fails."""
    process = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, **options)
    if process.returncode:
        raise SystemExit(f"benchmark: {' '.join(arguments[:3])} failed: {process.stderr.strip()[-800:]}")
    return process.stdout + process.stderr


# A small process between: the peak memory of a child begins at that of the process that started it.
_WATCHED = """import resource, subprocess, sys, time
start = time.perf_counter()
status = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**10)
sys.exit(status)"""


def watched(command: list[str]) -> tuple[float, float]:
    """(Seconds, peak memory in MB) of a command."""
    duration, memory = run([sys.executable, "-c", _WATCHED, *command]).split("\n")[0].split()
    return float(duration), float(memory)


def module(name: str, *arguments: object) -> list[str]:
    """The command line of ``python -m name``."""
    return [sys.executable, "-m", name, *map(str, arguments)]


def tool(name: str, *arguments: object) -> list[str]:
    """The command line of a script that this environment has installed."""
    return [str(Path(sysconfig.get_path("scripts"), name)), *map(str, arguments)]


def device_name() -> str:
    """The model of the GPU, or of the processor with the instructions that torch uses."""
    if DEVICE == "cuda":
        return torch.cuda.get_device_name()
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = {line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name")}
    return f"{', '.join(sorted(names)) or 'cpu'} ({torch.backends.cpu.get_cpu_capability()})"


def _versions() -> dict[str, str]:
    names = (
        "torch",
        "numpy",
        "ve-fairseq",
        "fairseq-fixed",
        "ctranslate2",
        "torchmetrics",
        "sacrebleu",
        "triton",
        "liger-kernel",
    )
    installed = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions()}
    return {name: installed[name] for name in names if name in installed}
