"""The pinned files of the corpus: packages and the two indexes of their descriptions (`packages.tsv`)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from .. import DataError

SUITE = "bookworm"
KINDS = ("literary", "descriptions", "help", "messages")
_HALVES = (("libreoffice-help-en-us", "libreoffice-help-de"), ("Translation-en", "Translation-de"))
TABLE = Path(__file__).with_name("packages.tsv")


@dataclass(frozen=True)
class Package:
    """One file: a ``.deb``, or an index of descriptions, whose ``version`` is the suite's name.

    ``kind`` is that of its text: messages, help, descriptions or literary. ``n_bytes`` and ``sha256`` are of the file,
    of an index without compression.
    """

    kind: str
    name: str
    version: str
    architecture: str
    n_bytes: int
    sha256: str

    @property
    def is_index(self) -> bool:
        """Whether it is an index of descriptions, and no ``.deb``."""
        return self.kind == "descriptions"

    @property
    def file(self) -> str:
        """The name of the file, as apt writes it."""
        version = self.version.replace(":", "%3a")
        return self.name if self.is_index else f"{self.name}_{version}_{self.architecture}.deb"


def packages(table: Path = TABLE) -> list[Package]:
    """The packages of a table, in its order. Raises DataError for a table without its columns, with another kind, or
    with half of the help or of the descriptions."""
    found = _read(table)
    names = {package.name for package in found}
    for package in found:
        if package.kind not in KINDS:
            raise DataError(f"{table}: {package.name} is of kind {package.kind!r}; choose of {', '.join(KINDS)}")
    for halves in _HALVES:
        if len(names & set(halves)) == 1:
            raise DataError(f"{table}: has only one of {' and '.join(halves)}; each needs the other")
    return found


def _read(table: Path) -> list[Package]:
    try:
        with open(table, encoding="utf-8", newline="") as file:
            return [
                Package(
                    row["kind"], row["package"], row["version"], row["architecture"], int(row["bytes"]), row["sha256"]
                )
                for row in csv.DictReader(file, delimiter="\t")
            ]
    except (KeyError, TypeError, ValueError) as error:
        columns = "kind, package, version, architecture, bytes and sha256"
        raise DataError(f"{table}: not a table of packages ({error}); it needs the columns {columns}") from None
