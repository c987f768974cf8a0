"""python -m analysis.figures NAME RUNS... --out FILE.svg: one figure, such as ece_bleu, from anyone's records."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mt_ls.records import RecordError
from mt_ls.terminal import prepare

from ..arguments import add_by, add_records, chosen_study
from ..study import Study
from . import FIGURES
from .layout import SUFFIXES, write


class _List(argparse.Action):
    """Print the figures, and end."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any, **__: Any) -> None:
        for name, part in FIGURES.items():
            print(f"{name:12} {part.shows}\n{'':12} needs {part.needs}")
        parser.exit()


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw the figure; 0, or 2 with one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m analysis.figures", description=__doc__)
    parser.add_argument("--list", nargs=0, action=_List, help="show the names of the figures, and what each needs")
    parser.add_argument("name", metavar="NAME", help="the figure")
    add_records(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help=f"file to write: {_suffixes()}")
    add_by(parser)
    parser.add_argument("--split", help="split to draw (default: test, or else one that chose no temperature)")
    options = parser.parse_args(arguments)
    try:
        _check(options.name, options.out)
        study = chosen_study(options.records, options.corpus, options.by)
        _draw(options.name, study.on(options.split) if options.split else study, options.out)
    except (RecordError, OSError) as error:
        print(f"analysis.figures: error: {error}", file=sys.stderr)
        return 2
    print(f"figure: {options.out}")
    return 0


def _suffixes() -> str:
    return ", ".join(SUFFIXES)


def _check(name: str, out: Path) -> None:
    if name not in FIGURES:
        raise RecordError(f"no figure {name!r}: choose one of {', '.join(FIGURES)}")
    if out.suffix not in SUFFIXES:
        raise RecordError(f"{out}: no such kind of file: choose one of {_suffixes()}")


def _draw(name: str, study: Study, out: Path) -> None:
    part = FIGURES[name]
    figure = part.drawing(study).figure
    if figure is None:
        raise RecordError(f"{name} of {study.corpus}: these records do not have what it needs: {part.needs}")
    write(figure, out)


if __name__ == "__main__":
    prepare("analysis.figures")
    sys.exit(main())
