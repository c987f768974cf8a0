"""python -m data_prep CORPUS --out data-bin/CORPUS [--source DIR_OR_HUB_ID]"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from . import DataError, binarise, clean, corpora, images, sources
from .corpora import CORPORA, Corpus
from .images import IMAGE_SETS


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
    parser.add_argument("--pairs", type=int, help="how many pairs to make for train (synthetic only)")
    options = parser.parse_args(arguments)
    try:
        if options.corpus in IMAGE_SETS:
            images.prepare(IMAGE_SETS[options.corpus], options.out, options.source, options.seed)
        else:
            prepare(CORPORA[options.corpus], options)
    except DataError as error:
        print(f"data_prep: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"data_prep: error: {error.filename or options.out}: {error.strerror}", file=sys.stderr)
        return 2
    return 0


def prepare(corpus: Corpus, options: argparse.Namespace) -> None:
    """Read, clean, split and binarise, unless the folder already holds just that."""
    out = options.out
    with sources.scratch_beside(out) as aside:
        counts, description = _text(corpus, options, aside)
        if sources.is_up_to_date(out, description):
            print(f"data_prep: {out} is up to date", file=sys.stderr)
            return
        print(clean.table([clean.Step(**step) for step in description["cleaning"]]))
        manifest = binarise.build(aside, counts, description)
        sources.take_its_place(aside, out)
    told = ", ".join(f"{name} {n}" for name, n in counts.items())
    print(f"data_prep: {out}: {told}; data hash {manifest['hash'][:8]}")


def _text(corpus: Corpus, options: argparse.Namespace, aside: Path) -> tuple[dict[str, int], dict[str, Any]]:
    """Write the cleaned text of each split into a folder: (how many pairs each has, what a manifest says of it)."""
    source = options.source or sources.local_copy(corpus.name)
    raw, inputs = corpora.read(corpus, source, options.seed, options.pairs)
    text = corpora.TextHash()
    if "all" in raw:
        cleaning = clean.Cleaning(aside)
        pairs = cleaning.kept(text.passing("all", raw["all"]))
        splits: corpora.Splits = {**clean.split(pairs, corpus.held_out or 0, options.seed)}
        counts = binarise.write_text(aside, splits)
    else:
        valid, test = list(raw["valid"]), list(raw["test"])
        cleaned_valid, cleaned_test, held_out = clean.held_out(valid, test)
        cleaning = clean.Cleaning(aside, held_out)
        train = cleaning.kept(text.passing("train", raw["train"]))
        counts = binarise.write_text(aside, {"train": train, "valid": cleaned_valid, "test": cleaned_test})
        text.add("valid", valid)
        text.add("test", test)
    clean.check_not_empty(counts)
    if not corpora.is_published(corpus, source, text.hexdigest()):
        print(
            f"data_prep: note: the hub's {corpus.name} is not the text of the published records "
            f"({text.hexdigest()[:8]}, not {(corpus.sha256 or '')[:8]}): expect other numbers",
            file=sys.stderr,
        )
    settings = {
        "vocab_size": options.vocab_size or corpus.vocab_size,
        "model_type": corpus.model_type,
        "seed": options.seed,
        "max_words": clean.MAX_WORDS,
    }
    return counts, {
        "corpus": corpus.name,
        "source": corpus.source if options.source is None else Path(options.source).name,
        "revision": corpus.revision,
        "licence": corpus.licence,
        "inputs": {**inputs, "text": text.hexdigest()},
        "settings": settings,
        "cleaning": [step._asdict() for step in cleaning.steps()],
    }


if __name__ == "__main__":
    sys.exit(main())
