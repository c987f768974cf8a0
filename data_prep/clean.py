"""Which pairs are kept, and which split each one goes to. Pairs stream through: memory does not grow."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from . import DataError
from .corpora import Pair

MAX_WORDS = 100
MAX_RATIO = 3.0


class Step(NamedTuple):
    """What one filter did."""

    filter: str
    removed: int
    left: int


def _ratio_is_odd(pair: Pair) -> bool:
    """Characters of one side beyond three times the other's; ten are free, so that short strings pass."""
    short, long = sorted(len(side) for side in pair)
    return long > MAX_RATIO * short + 10


def source_key(pair: Pair) -> str:
    """Two sources count as the same sentence when they differ in case and spaces only."""
    return " ".join(pair[0].casefold().split())


class Cleaning:
    """Filters pairs one at a time, and counts. A pair goes by the first filter that finds it bad; the last two know the
    pairs that came before (in a file in ``folder``), and the sources that are ``held_out`` for valid and test."""

    def __init__(self, folder: Path, held_out: frozenset[str] | None = None) -> None:
        self._seen = _Seen(folder / "seen.sqlite")
        self._read = 0
        self._removed: Counter[str] = Counter()
        self._filters: dict[str, Callable[[Pair], bool]] = {
            "empty": lambda pair: not (pair[0] and pair[1]),
            "equal to its source": lambda pair: pair[0] == pair[1],
            f"longer than {MAX_WORDS} words": lambda pair: max(side.count(" ") for side in pair) >= MAX_WORDS,
            f"length ratio over {MAX_RATIO:g}": _ratio_is_odd,
            "duplicate pair": self._seen.before,
        }
        if held_out is not None:
            self._filters["source stands in valid or test"] = lambda pair: source_key(pair) in held_out

    def kept(self, pairs: Iterable[Pair]) -> Iterator[Pair]:
        """The pairs that pass every filter, whitespace normalised, each once."""
        for source, target in pairs:
            self._read += 1
            pair = (" ".join(source.split()), " ".join(target.split()))
            bad = next((name for name, is_bad in self._filters.items() if is_bad(pair)), None)
            if bad is None:
                yield pair
            else:
                self._removed[bad] += 1
        self._seen.close()

    def steps(self) -> list[Step]:
        """What each filter removed so far, and left."""
        steps = [Step("read", 0, self._read)]
        for name in self._filters:
            steps.append(Step(name, self._removed[name], steps[-1].left - self._removed[name]))
        return steps


class _Seen:
    """The pairs that came before, as 128-bit hashes on disk."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._table = sqlite3.connect(file, isolation_level=None)
        # A scratch file: nothing in it outlives the run.
        for setting in ("journal_mode = off", "synchronous = off", "locking_mode = exclusive", "cache_size = -65536"):
            self._table.execute(f"PRAGMA {setting}")
        self._table.execute("CREATE TABLE seen (pair BLOB PRIMARY KEY) WITHOUT ROWID")
        self._table.execute("BEGIN")

    def before(self, pair: Pair) -> bool:
        key = hashlib.blake2b("\t".join(pair).encode(), digest_size=16).digest()
        return self._table.execute("INSERT OR IGNORE INTO seen VALUES (?)", (key,)).rowcount == 0

    def close(self) -> None:
        self._table.close()
        self._file.unlink()


def split(pairs: Iterable[Pair], held_out: int, seed: int) -> dict[str, list[Pair]]:
    """Train, valid and test of pairs that have no split of their own (these are held in memory).

    All pairs of one source go to the same split. Sources are ordered by a hash of seed and text, so the result does
    not depend on the order of the input; valid and test each get ``held_out`` pairs, or a few more if the last
    source has several.
    """
    groups: dict[str, list[Pair]] = {}
    for pair in sorted(pairs):
        groups.setdefault(source_key(pair), []).append(pair)
    order = sorted(groups, key=lambda key: hashlib.sha256(f"{seed}\t{key}".encode()).digest())
    splits: dict[str, list[Pair]] = {"train": [], "valid": [], "test": []}
    for key in order:
        name = next((n for n in ("valid", "test") if len(splits[n]) < held_out), "train")
        splits[name] += groups[key]
    return splits


def held_out(valid: Iterable[Pair], test: Iterable[Pair]) -> tuple[list[Pair], list[Pair], frozenset[str]]:
    """Valid and test of a corpus with splits of its own, and their sources, which train must not have. They stay whole
    but for empty pairs, so that scores compare; a source that stands in both goes from valid."""
    test = [pair for pair in test if all(side.strip() for side in pair)]
    in_test = frozenset(map(source_key, test))
    valid = [pair for pair in valid if all(s.strip() for s in pair) and source_key(pair) not in in_test]
    return valid, test, in_test | frozenset(map(source_key, valid))


def check_not_empty(counts: dict[str, int]) -> None:
    """Raises DataError if a split has no sentence."""
    for name, n in counts.items():
        if not n:
            raise DataError(f"split {name!r} has no sentence after cleaning; give more text")


def table(steps: list[Step]) -> str:
    """The steps as aligned columns."""
    rows = [f"{'filter':32} {'removed':>8} {'left':>8}"]
    return "\n".join(rows + [f"{step.filter:32} {step.removed:8d} {step.left:8d}" for step in steps])
