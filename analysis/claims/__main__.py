"""python -m analysis.claims RUNS: each claim of the paper, held against the records by the rule of `verdicts`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mt_ls.records.record import RecordError

from .. import rows as table
from .. import significance
from ..rows import Row
from . import images as vision_claims
from . import translation as translation_claims
from .rule import Finding


def findings(rows: Sequence[Row], draws: int = significance.DRAWS) -> list[Finding]:
    """The verdict on every claim of the kind of the records, from records of one corpus."""
    return (vision_claims if table.of_images(rows) else translation_claims).findings(rows, draws)


HEADER = ("claim", "where", "paper", "verdict", "estimate", "95 %", "of")


def cells(found: Sequence[Finding]) -> list[list[str]]:
    """One line a claim."""
    lines = []
    for finding in found:
        claim, estimate = finding.claim, finding.estimate
        verdict = f"{finding.verdict} ({finding.why})" if finding.why else finding.verdict
        line = [f"{claim.number}. {claim.words}", claim.where, claim.paper, verdict, "", "", ""]
        if estimate:
            low, high = estimate.interval()
            digits = 2 if abs(estimate.value) >= 1 or "BLEU(" in finding.part else 4
            seeds = f"{estimate.n_seeds} seed" + "s" * (estimate.n_seeds > 1)
            known = high > low + 1e-12 or estimate.n_seeds > 1  # one seed, not resampled: no interval but rounding
            line[4:] = [
                f"{estimate.value:+.{digits}f}",
                f"{low:+.{digits}f} to {high:+.{digits}f}" if known else "",
                f"{finding.part} ({claim.unit}; {seeds})",
            ]
        lines.append(line)
    return lines


def main(arguments: list[str] | None = None) -> int:
    """Print the table; 0, or 2 with one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m analysis.claims", description=__doc__)
    parser.add_argument("records", nargs="+", help="records files, or folders that hold them, of one corpus")
    parser.add_argument("--corpus", help="only this corpus (needed where the records hold several)")
    parser.add_argument("--into", type=Path, help="also write the table into this file, between the corpus's marks")
    options = parser.parse_args(arguments)
    try:
        rows = table.of_one_corpus(table.load(options.records), options.corpus)
        found = findings(rows)
        if options.into:
            name = f"claims on {rows[0].record.corpus}"
            table.write_between(options.into, name, table.markdown(HEADER, cells(found)))
    except (RecordError, OSError) as error:
        print(f"analysis.claims: error: {error}", file=sys.stderr)
        return 2
    print(table.text(HEADER, cells(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
