"""python -m analysis.claims RUNS: what the records say of each claim of the paper, by `analysis.claims.rule`."""

from __future__ import annotations

import argparse
import sys

from mt_ls.records import RecordError
from mt_ls.terminal import prepare

from .. import claims
from ..arguments import add_records, chosen_study
from ..tables.layout import text


def main(arguments: list[str] | None = None) -> int:
    """Print the table; 0, or 2 with one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m analysis.claims", description=__doc__)
    add_records(parser)
    options = parser.parse_args(arguments)
    try:
        study = chosen_study(options.records, options.corpus, "model")
        table = text(claims.HEADER, claims.cells(claims.verdicts(study)))
    except (RecordError, OSError) as error:
        print(f"analysis.claims: error: {error}", file=sys.stderr)
        return 2
    print(table)
    return 0


if __name__ == "__main__":
    prepare("analysis.claims")
    sys.exit(main())
