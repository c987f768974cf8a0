"""python -m analysis.tokenised_bleu RUNS --references FILE: BLEU as papers on Multi30k report it.

Both sides are lower-cased and tokenised by Moses, and BLEU is of those tokens (``multi-bleu.perl``'s counting;
sacrebleu with ``tokenize=none``). It depends on the tokeniser: records hold sacrebleu's own on plain text, and this
number serves to compare with published scores. References are not published: name the file of the split.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import sacrebleu
from sacremoses import MosesTokenizer

from mt_ls.records import RecordError
from mt_ls.terminal import prepare

from .quantities import number
from .rows import Row, load, select
from .tables.layout import text

HEADER = ("run", "beam", "temperature", "BLEU", "uncased", "lower-cased, Moses tokens")


def lines(rows: Sequence[Row], references: Sequence[str], language: str) -> list[list[str]]:
    """One line a search whose hypotheses were kept. Raises RecordError if they are not as many as the references."""
    tokeniser = MosesTokenizer(lang=language)

    def tokenise(sentences: Sequence[str]) -> list[str]:
        return [tokeniser.tokenize(sentence.lower(), return_str=True, escape=False) for sentence in sentences]

    cells = []
    tokenised = tokenise(references)
    for row in select(rows, mode="beam"):
        record = row.record
        hypotheses = None if row.items is None else row.items.text
        if hypotheses is None:
            continue
        if len(hypotheses) != len(references):
            raise RecordError(f"{record.run}: {len(hypotheses)} hypotheses for {len(references)} references")
        score = sacrebleu.corpus_bleu(tokenise(hypotheses), [tokenised], tokenize="none", force=True).score
        known = [None if scores is None else scores["score"] for scores in (record.bleu, record.bleu_uncased)]
        numbers = (number(value, 2) for value in (record.temperature, *known, score))
        search = " ".join(filter(None, (str(record.beam), record.search_precision)))
        cells.append([record.run, search, *numbers])
    return cells


def main(arguments: list[str] | None = None) -> int:
    """Print the table; 0, or 2 with one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m analysis.tokenised_bleu", description=__doc__)
    parser.add_argument("records", nargs="+", help="records files, or folders that hold them")
    parser.add_argument("--references", type=Path, required=True, help="data-bin/.../text/test.de, a sentence a line")
    parser.add_argument("--split", default="test")
    parser.add_argument("--language", default="de")
    options = parser.parse_args(arguments)
    try:
        rows = select(load(options.records), split=options.split)
        references = options.references.read_text(encoding="utf-8").split("\n")[:-1]
        print(text(HEADER, lines(rows, references, options.language)))
    except (RecordError, OSError, UnicodeDecodeError) as error:
        print(f"analysis.tokenised_bleu: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    prepare("analysis.tokenised_bleu")
    sys.exit(main())
