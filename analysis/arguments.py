"""The arguments that commands on records have in common."""

from __future__ import annotations

from argparse import ArgumentParser


def add_records(parser: ArgumentParser) -> None:
    """Add the records, and the corpus that is chosen of them."""
    parser.add_argument("records", nargs="+", help="records files, or folders that hold them")
    parser.add_argument("--corpus", help="only this corpus (needed where the records hold several)")


def add_by(parser: ArgumentParser) -> None:
    """Add what an entry of a study is."""
    parser.add_argument(
        "--by",
        choices=("model", "run"),
        default="model",
        help="a line for each model, its training seeds together (default), or for each run by its name",
    )
