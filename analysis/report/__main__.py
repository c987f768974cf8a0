"""python -m analysis.report runs/ --out out/DIR: figures, tables and one self-contained HTML page from records."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mt_ls.records import RecordError
from mt_ls.terminal import prepare

from ..arguments import add_by, add_records, chosen_study
from .page import write


def main(arguments: list[str] | None = None) -> int:
    """Write the report; 0, or 2 with one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m analysis.report", description=__doc__)
    add_records(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder of the report")
    add_by(parser)
    parser.add_argument("--split", nargs="+", help="splits to report on (default: those that chose no temperature)")
    options = parser.parse_args(arguments)
    try:
        study = chosen_study(options.records, options.corpus, options.by)
        text = write(study.of_splits(options.split) if options.split else study, options.out)
    except (RecordError, OSError) as error:
        print(f"analysis.report: error: {error}", file=sys.stderr)
        return 2
    print(text)
    print(f"\ntables: {options.out / 'tables'}\nreport: {options.out / 'report.html'}")
    return 0


if __name__ == "__main__":
    prepare("analysis.report")
    sys.exit(main())
