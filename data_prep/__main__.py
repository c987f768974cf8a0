"""python -m data_prep CORPUS --out data-bin/CORPUS [--source DIR_OR_HUB_ID]"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from . import DataError, binarise, clean, images
from .corpora import CORPORA, Corpus, load
from .images import IMAGE_SETS
from .sources import is_up_to_date


def main(arguments: list[str] | None = None) -> int:
    """Prepare one corpus; 0, or 2 with one line on stderr."""
    texts, pictures = (
        "\n".join(f"  {c.name:18}{c.source:34}{c.size:36}{c.licence}" for c in table.values())
        for table in (CORPORA, IMAGE_SETS)
    )
    parser = argparse.ArgumentParser(
        prog="data_prep",
        description=f"Binarised text for fairseq, English to German:\n{texts}\n\nImages as arrays:\n{pictures}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("corpus", choices=sorted([*CORPORA, *IMAGE_SETS]))
    parser.add_argument("--out", type=Path, required=True, help="data folder to make, for example data-bin/CORPUS")
    parser.add_argument("--source", help="local folder, wheel, or hub id to read instead of the pinned source")
    parser.add_argument("--vocab-size", type=int, help="SentencePiece pieces for both languages together (text only)")
    parser.add_argument("--seed", type=int, default=1, help="of the split of text, and of synthetic data")
    options = parser.parse_args(arguments)
    try:
        if options.corpus in IMAGE_SETS:
            images.prepare(IMAGE_SETS[options.corpus], options.out, options.source, options.seed)
        else:
            prepare(CORPORA[options.corpus], options.out, options.source, options.vocab_size, options.seed)
    except DataError as error:
        print(f"data_prep: error: {error}", file=sys.stderr)
        return 2
    return 0


def prepare(corpus: Corpus, out: Path, source: str | None, vocab_size: int | None, seed: int) -> None:
    """Load, clean, split and binarise, unless ``out`` already holds just that."""
    vocab_size = vocab_size or corpus.vocab_size
    raw, inputs = load(corpus, source, seed)
    if "all" in raw:
        pairs, steps = clean.clean(raw["all"])
        splits = clean.split(pairs, corpus.held_out or 0, seed)
    else:
        splits, steps = clean.without_leaks(raw)
    description: dict[str, Any] = {
        "corpus": corpus.name,
        "source": corpus.source if source is None else Path(source).name,
        "revision": corpus.revision,
        "licence": corpus.licence,
        "inputs": inputs,
        "settings": {
            "vocab_size": vocab_size,
            "model_type": corpus.model_type,
            "seed": seed,
            "max_words": clean.MAX_WORDS,
        },
        "cleaning": [step._asdict() for step in steps],
    }
    if is_up_to_date(out, description):
        print(f"data_prep: {out} is up to date", file=sys.stderr)
        return
    print(clean.table(steps))
    manifest = binarise.build(out, splits, description)
    counts = ", ".join(f"{name} {n}" for name, n in manifest["counts"].items())
    print(f"data_prep: {out}: {counts}; data hash {manifest['hash'][:8]}")


if __name__ == "__main__":
    sys.exit(main())
