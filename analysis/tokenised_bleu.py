"""python -m analysis.tokenised_bleu RUNS --references FILE: BLEU as papers on Multi30k report it.

Lower-cased, Moses-tokenised text on both sides, and BLEU over those tokens (``multi-bleu.perl``'s counting; sacrebleu
with ``tokenize=none``). It depends on the tokeniser, which is why our records hold sacrebleu's own on plain text; it
serves to compare with published scores. References are not published with records: name the file of the split.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import sacrebleu
from sacremoses import MosesTokenizer

from mt_ls.records.record import RecordError

from . import rows as table
from .rows import Row, number, select

HEADER = ("run", "beam", "temperature", "BLEU", "uncased", "lower-cased, Moses tokens")


def lines(rows: Sequence[Row], references: Sequence[str], language: str) -> list[list[str]]:
    """One line a search whose hypotheses were kept. Raises RecordError if they are not as many as the references."""
    tokenise = MosesTokenizer(lang=language).tokenize
    gold = [tokenise(line.lower(), return_str=True, escape=False) for line in references]
    found = []
    for row in select(rows, mode="beam"):
        text = row.hypotheses()
        if text is None:
            continue
        if len(text) != len(gold):
            raise RecordError(f"{row.record.run}: {len(text)} hypotheses for {len(gold)} references")
        ours = [tokenise(line.lower(), return_str=True, escape=False) for line in text]
        score = sacrebleu.corpus_bleu(ours, [gold], tokenize="none", force=True).score
        record = row.record
        known = [None if scores is None else scores["score"] for scores in (record.bleu, record.bleu_uncased)]
        found.append(
            [
                record.run,
                str(record.beam),
                number(record.temperature, 2),
                *(number(b, 2) for b in known),
                number(score, 2),
            ]
        )
    return found


def main(arguments: list[str] | None = None) -> int:
    """Print the table; 0, or 2 with one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m analysis.tokenised_bleu", description=__doc__)
    parser.add_argument("records", nargs="+", help="records files, or folders that hold them")
    parser.add_argument("--references", type=Path, required=True, help="data-bin/.../text/test.de, a sentence a line")
    parser.add_argument("--split", default="test")
    parser.add_argument("--language", default="de")
    options = parser.parse_args(arguments)
    try:
        rows = select(table.load(options.records), split=options.split)
        references = options.references.read_text(encoding="utf-8").split("\n")[:-1]
        print(table.text(HEADER, lines(rows, references, options.language)))
    except (RecordError, OSError, UnicodeDecodeError) as error:
        print(f"analysis.tokenised_bleu: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
