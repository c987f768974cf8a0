"""Two things timed side by side, in strict alternation, and the rows that say what came out."""

from __future__ import annotations

import importlib.metadata
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "recipes" / "benchmarks.json"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
Row = dict[str, Any]


def seconds(run: Callable[[], Any]) -> float:
    """Wall-clock time of one call, a GPU's queue included."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def alternate(
    ours: Callable[[], float], theirs: Callable[[], float], rounds: int, warm_up: int = 1
) -> tuple[list[float], list[float]]:
    """What both return in ``rounds`` turns A B A B, after ``warm_up`` turns that do not count."""
    pairs = [(ours(), theirs()) for _ in range(warm_up + rounds)][warm_up:]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def peak_memory(run: Callable[[], Any]) -> float:
    """MB by which one call raises the memory of this process at its peak (on a GPU: what torch has allocated)."""
    if DEVICE == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.max_memory_allocated()
        run()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    # Not ru_maxrss: it cannot be reset, and a child starts with its parent's.
    Path("/proc/self/clear_refs").write_text("5")
    before = _resident("VmRSS")
    run()
    return _resident("VmHWM") - before


def _resident(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 2**10 for line in lines if line.startswith(field))


def row(benchmark: str, case: str, against: str, ours: list[float], theirs: list[float], unit: str, **more: Any) -> Row:
    """One line of the results: the median of the paired ratios ours / theirs with the least and the greatest."""
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return {
        "benchmark": benchmark, "case": case, "against": against, "ratio": statistics.median(ratios),
        "ratio_min": min(ratios), "ratio_max": max(ratios), "ours": statistics.median(ours),
        "theirs": statistics.median(theirs), "unit": unit, **more, "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if DEVICE == "cuda" else _processor(), "versions": _versions(),
        "commit": _commit(),
    }  # fmt: skip


def publish(rows: list[Row]) -> None:
    """Put the rows into the results file in place of those of the same benchmarks."""
    names = {new["benchmark"] for new in rows}
    kept = [old for old in results() if old["benchmark"] not in names]
    aside = RESULTS.with_suffix(".new")
    aside.write_text("[\n" + ",\n".join(json.dumps(r) for r in [*kept, *rows]) + "\n]\n")
    aside.replace(RESULTS)


def results() -> list[Row]:
    """What was measured so far."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else []


def table(rows: list[Row]) -> str:
    """The rows as aligned columns."""
    names = f"{'benchmark':14}{'case':44}{'against':34}"
    lines = [f"{names}{'ratio':>8}{'least':>8}{'most':>8}{'ours':>12}{'theirs':>12}  unit"]
    for r in rows:
        lines.append(
            f"{r['benchmark']:14}{r['case']:44}{r['against']:34}{r['ratio']:8.3f}{r['ratio_min']:8.3f}"
            f"{r['ratio_max']:8.3f}{r['ours']:12.4g}{r['theirs']:12.4g}  {r['unit']}"
        )
    return "\n".join(lines)


def run(arguments: list[str], **options: Any) -> str:
    """The output of a command run from the repository's root; fails with its last lines."""
    found = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, **options)
    if found.returncode:
        raise SystemExit(f"benchmark: {' '.join(arguments[:3])} failed: {found.stderr.strip()[-800:]}")
    return found.stdout + found.stderr


def tool(name: str) -> str:
    """A command of this environment."""
    return str(Path(sys.executable).with_name(name))


def _processor() -> str:
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = {line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name")}
    return f"{', '.join(sorted(names)) or 'cpu'} ({torch.backends.cpu.get_cpu_capability()})"


def _versions() -> dict[str, str]:
    names = ("torch", "numpy", "ve-fairseq", "fairseq-fixed", "ctranslate2", "torchmetrics", "sacrebleu")
    installed = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions()}
    return {name: installed[name] for name in names if name in installed}


def _commit() -> str:
    from mt_ls.records import code_hash

    return code_hash()[:12]
