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

from analysis import rows as table
from mt_ls.records.record import code_hash, written_whole

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "recipes" / "benchmarks.json"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
NAMES = ("criterion", "training", "temperatures", "decoding", "bins", "vision", "scale", "growth")
COMMIT = code_hash()  # before the first result changes a tracked file
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


def row(
    benchmark: str,
    case: str,
    against: str,
    ours: list[float],
    theirs: list[float],
    unit: str,
    target: str | None = None,
    **more: Any,
) -> Row:
    """One line of the results: the median of the paired ratios ours / theirs with the least and the greatest.
    ``target`` is a relation and a number, as ``<= 0.50``."""
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return {
        "benchmark": benchmark,
        "case": case,
        "against": against,
        "ratio": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "ours": statistics.median(ours),
        "theirs": statistics.median(theirs),
        "unit": unit,
        "target": target,
        **more,
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if DEVICE == "cuda" else _processor(),
        "versions": _versions(),
        "commit": COMMIT,
    }


def publish(rows: list[Row]) -> None:
    """Put the rows into the results file, in place of those of the same benchmarks, and all into the README's table."""
    names = {new["benchmark"] for new in rows}
    kept = [old for old in results() if old["benchmark"] not in names]
    everything = sorted([*kept, *rows], key=lambda r: NAMES.index(r["benchmark"]))
    with written_whole(RESULTS) as aside:
        aside.write_text("[\n" + ",\n".join(json.dumps(r) for r in everything) + "\n]\n")
    table.write_between(ROOT / "README.md", "benchmarks", readme_table(everything))


def results() -> list[Row]:
    """What was measured so far."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else []


HEADER = ("benchmark", "case", "against", "ratio", "target", "ours", "theirs", "unit")


def cells(rows: list[Row]) -> list[list[str]]:
    """One line a row: the median ratio with the least and the greatest, and whether it reaches its target."""
    lines = []
    for r in rows:
        spread = f"{r['ratio']:.3f}"
        if r["ratio_max"] > r["ratio_min"]:
            spread += f" ({r['ratio_min']:.3f} to {r['ratio_max']:.3f})"
        values = (f"{value:,.0f}" if value >= 1000 else f"{value:.3g}" for value in (r["ours"], r["theirs"]))
        lines.append([r["benchmark"], r["case"], r["against"], spread, _judged(r), *values, r["unit"]])
    return lines


def _judged(r: Row) -> str:
    if not r["target"]:
        return ""
    relation, value = r["target"].split()
    reached = r["ratio"] <= float(value) if relation == "<=" else r["ratio"] >= float(value)
    return f"{r['target']}: {'reached' if reached else 'missed'}"


def readme_table(rows: list[Row]) -> str:
    """What the README shows: all but the growth, which is a figure."""
    return table.markdown(HEADER, cells([r for r in rows if r["benchmark"] != "growth"]))


def run(arguments: list[str], **options: Any) -> str:
    """The output of a command run from the repository's root; fails with its last lines."""
    found = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, **options)
    if found.returncode:
        raise SystemExit(f"benchmark: {' '.join(arguments[:3])} failed: {found.stderr.strip()[-800:]}")
    return found.stdout + found.stderr


# A small process between: a child's peak memory starts with that of the process that made it.
_WATCHED = """import resource, subprocess, sys, time
start = time.perf_counter()
status = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**10)
sys.exit(status)"""


def watched(command: list[str]) -> tuple[float, float]:
    """(seconds, peak memory in MB) of a command."""
    duration, memory = run([sys.executable, "-c", _WATCHED, *command]).split("\n")[0].split()
    return float(duration), float(memory)


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
