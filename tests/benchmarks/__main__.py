"""bash recipes/benchmark.sh [NAME ...]: our fast paths side by side with the stock tools."""

from __future__ import annotations

import argparse
import importlib
import logging

from harness import HEADER, NAMES, RESULTS, ROOT, cells, publish

from analysis import rows as table

logging.disable(logging.INFO)  # fairseq's, of what it could not import


def main() -> None:
    """Run the named benchmarks (all by default), print their table and write their rows."""
    parser = argparse.ArgumentParser(prog="benchmark", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(NAMES)}; all by default")
    chosen = parser.parse_args().names or NAMES
    if unknown := set(chosen) - set(NAMES):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}: choose of {', '.join(NAMES)}")
    for name in chosen:
        rows = importlib.import_module(name).benchmark()
        publish(rows)
        print(table.text(HEADER, cells(rows)), flush=True)
    print(f"\nwritten: {RESULTS.relative_to(ROOT)} and the table of README.md")


if __name__ == "__main__":
    main()
