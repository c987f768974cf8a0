"""The signatures of what a figure draws: one short line under it, and every whole signature in the file's metadata.

A whole signature of each record would be small print of several lines, which nobody can read at the width of a column.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from matplotlib.figure import Figure

from ..rows import Row

_HASH = {"data": 8, "code": 7}
"""The digits of a hash in a signature."""
_DATES = {".svg": "Date", ".pdf": "CreationDate"}
"""The field of the date in the metadata, by the kind of file."""


class Signed(Figure):
    """A figure with the ``signatures`` of the records that it draws, in order and each one once."""

    signatures: tuple[str, ...] = ()

    def metadata(self, suffix: str) -> dict[str, str | None]:
        """The metadata of a file of this kind: the signatures, and no date, so that the same records give the same
        file."""
        field = "Subject" if suffix == ".pdf" else "Description"
        metadata: dict[str, str | None] = {field: "\n".join(self.signatures)} if self.signatures else {}
        if suffix in _DATES:
            metadata[_DATES[suffix]] = None
        return metadata


def whole(rows: Iterable[Row]) -> tuple[str, ...]:
    """The signatures of rows, each one once."""
    return tuple(dict.fromkeys(row.record.signature for row in rows))


def short(rows: Iterable[Row], of_bins: bool = True) -> list[str]:
    """The parts of a short signature: splits, bins, n, seeds, and the hashes of data and code.

    The bins, and the predictions n in them, are left out of a figure that draws neither ECE nor bins.
    """
    records = [row.record for row in rows]
    parts = [", ".join(dict.fromkeys(record.split for record in records))]
    if of_bins:
        parts.append(f"{_range([len(record.bins.count) for record in records])} bins")
        parts.append(f"n = {_range([record.bins.n for record in records])}")
    seeds = sorted({record.seed for record in records if record.seed is not None})
    if seeds:
        parts.append(f"{'seeds' if len(seeds) > 1 else 'seed'} {_listed(seeds)}")
    for name, digits in _HASH.items():
        hashes = list(dict.fromkeys(record.sha[name][:digits] for record in records))
        others = f" and {len(hashes) - 1} more" if len(hashes) > 1 else ""
        parts.append(f"{name} {hashes[0]}{others}")
    return parts


def _range(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return f"{low}" if low == high else f"{low} to {high}"


def _listed(seeds: Sequence[int]) -> str:
    """The seeds, or the first and the last of more than two that follow each other."""
    if len(seeds) > 2 and seeds[-1] - seeds[0] == len(seeds) - 1:
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds))
