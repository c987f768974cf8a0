"""The arguments that commands on records have in common, and the study that they choose."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence

from .rows import load, of_one_corpus
from .study import By, Study


def add_records(parser: ArgumentParser) -> None:
    """Add the records, and the corpus that is chosen of them."""
    parser.add_argument("records", nargs="+", help="records files, or folders that hold them")
    parser.add_argument("--corpus", help="only this corpus (needed where the records hold several)")


def add_by(parser: ArgumentParser) -> None:
    """Add what an entry of a study is."""
    parser.add_argument(
        "--by",
        choices=("model", "run"),
        help="a line for each model, its training seeds together (default), or for each run by its name (default where "
        "the smoothing of no model is known)",
    )


def chosen_study(records: Sequence[str], corpus: str | None, by: By | None) -> Study:
    """The study that the arguments choose. Raises RecordError for records that make none."""
    rows = of_one_corpus(load(records), corpus)
    known = any(row.record.model.smoothing is not None for row in rows)
    return Study(rows, by or ("model" if known else "run"))
