"""python -m analysis.report runs/ --out out/DIR: figures, tables and one self-contained HTML page from records."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mt_ls.records import RecordError
from mt_ls.terminal import prepare

from ..rows import load, of_one_corpus
from ..study import Study
from .page import write


def main(arguments: list[str] | None = None) -> int:
    """Write the report; 0, or 2 with one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m analysis.report", description=__doc__)
    parser.add_argument("records", nargs="+", help="records files, or folders that hold them")
    parser.add_argument("--out", type=Path, required=True, help="folder of the report")
    parser.add_argument("--corpus", help="only this corpus (needed where the records hold several)")
    parser.add_argument(
        "--by",
        choices=("model", "run"),
        default="model",
        help="a line for each model, its training seeds together (default), or for each run by its name",
    )
    options = parser.parse_args(arguments)
    try:
        text = write(Study(of_one_corpus(load(options.records), options.corpus), options.by), options.out)
    except (RecordError, OSError) as error:
        print(f"analysis.report: error: {error}", file=sys.stderr)
        return 2
    print(text)
    print(f"\nreport: {options.out / 'report.html'}")
    return 0


if __name__ == "__main__":
    prepare("analysis.report")
    sys.exit(main())
