"""bash recipes/benchmark.sh [NAME ...]: time and memory of mt_ls beside those of the stock tools."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
import time
from pathlib import Path

import torch

sys.path.insert(1, str(Path(__file__).resolve().parents[2]))
logging.disable(logging.INFO)  # fairseq's, about packages that it does not find

from harness import NAMES, device_name, keep  # noqa: E402

from analysis.tables.benchmarks import RESULTS, plain  # noqa: E402


def main() -> None:
    """Run the named benchmarks (all by default), print their table and write their rows."""
    parser = argparse.ArgumentParser(prog="benchmark", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(NAMES)}; all by default")
    chosen = parser.parse_args().names or NAMES
    if unknown := set(chosen) - set(NAMES):
        parser.error(f"no benchmark {', '.join(sorted(unknown))} on this device: choose of {', '.join(NAMES)}")
    print(f"device: {device_name()}, {torch.get_num_threads()} threads, torch {torch.__version__}", flush=True)
    for name in chosen:
        start = time.perf_counter()
        rows = importlib.import_module(name).benchmark()
        keep(rows)
        print(f"{plain(rows)}\n{name}: {time.perf_counter() - start:.0f} s", flush=True)
    print(f"\nwritten: {RESULTS}; python -m analysis.pages writes the tables of docs/performance.md")


if __name__ == "__main__":
    main()
