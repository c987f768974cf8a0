"""Filters and splits of sentence pairs. Filters take pairs one at a time, so that memory does not grow with them."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from . import DataError
from .corpora import Pair

MAX_WORDS = 100
"""Greatest number of words of a side."""
MAX_RATIO = 3.0
"""Greatest ratio of the lengths of the two sides, in characters."""
_FREE_CHARACTERS = 10
T = TypeVar("T")


class Step(NamedTuple):
    """The effect of one filter: the pairs that it ``removed``, and those that are ``left`` after it."""

    filter: str
    removed: int
    left: int


def _ratio_is_odd(pair: Pair) -> bool:
    """Whether one side is too long for the other. Ten characters are free, so that short strings pass."""
    short, long = sorted(len(side) for side in pair)
    return long > MAX_RATIO * short + _FREE_CHARACTERS


def source_key(pair: Pair) -> str:
    """The key of a pair's source: sources that differ only in case and spaces have the same one."""
    return " ".join(pair[0].casefold().split())


class Filters(Generic[T]):
    """Filters by name, in their order, that count what they remove: an item is removed by the first that applies."""

    def __init__(self, filters: Mapping[str, Callable[[T], bool]]) -> None:
        self._filters = dict(filters)
        self._read = 0
        self._removed: Counter[str] = Counter()

    def keep(self, item: T) -> bool:
        """Whether no filter applies to an item, which is counted."""
        self._read += 1
        name = next((name for name, applies in self._filters.items() if applies(item)), None)
        if name is not None:
            self._removed[name] += 1
        return name is None

    def steps(self) -> list[Step]:
        """The effect of each filter so far, in order, after a first step with the number of items read."""
        steps = [Step("read", 0, self._read)]
        for name in self._filters:
            steps.append(Step(name, self._removed[name], steps[-1].left - self._removed[name]))
        return steps


class Cleaning(Filters[Pair]):
    """The filters of sentence pairs.

    The filter of duplicates keeps a file in ``folder`` with the pairs of one pass; ``held_out`` has the keys of sources
    of valid and test, which train must not have.
    """

    def __init__(self, folder: Path, held_out: frozenset[str] | None = None) -> None:
        self._seen = _Seen(folder / "seen.sqlite")
        filters: dict[str, Callable[[Pair], bool]] = {
            "empty": lambda pair: not (pair[0] and pair[1]),
            "equal to its source": lambda pair: pair[0] == pair[1],
            f"longer than {MAX_WORDS} words": lambda pair: max(side.count(" ") for side in pair) >= MAX_WORDS,
            f"length ratio over {MAX_RATIO:g}": _ratio_is_odd,
            "duplicate pair": lambda pair: not self._seen.add(pair),
        }
        if held_out is not None:
            filters["source stands in valid or test"] = lambda pair: source_key(pair) in held_out
        super().__init__(filters)

    def kept(self, pairs: Iterable[Pair]) -> Iterator[Pair]:
        """The pairs that pass every filter, with whitespace normalised. It can be called once."""
        for source, target in pairs:
            pair = (" ".join(source.split()), " ".join(target.split()))
            if self.keep(pair):
                yield pair
        self._seen.close()


class _Seen:
    """A set of pairs on disk, as 128-bit hashes."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._table = sqlite3.connect(file, isolation_level=None)
        # The file does not outlive the run, so it needs no safety against a crash.
        for setting in ("journal_mode = off", "synchronous = off", "locking_mode = exclusive", "cache_size = -65536"):
            self._table.execute(f"PRAGMA {setting}")
        self._table.execute("CREATE TABLE seen (pair BLOB PRIMARY KEY) WITHOUT ROWID")
        self._table.execute("BEGIN")

    def add(self, pair: Pair) -> bool:
        """Add a pair, and return whether it is new."""
        key = hashlib.blake2b("\t".join(pair).encode(), digest_size=16).digest()
        return self._table.execute("INSERT OR IGNORE INTO seen VALUES (?)", (key,)).rowcount == 1

    def close(self) -> None:
        """Remove the file."""
        self._table.close()
        self._file.unlink()


def split(pairs: Iterable[Pair], held_out: int, seed: int) -> dict[str, list[Pair]]:
    """Train, valid and test of pairs from a source without splits. The pairs are held in memory.

    All pairs of one source sentence go to the same split. Source sentences are ordered by a hash of seed and text, so
    the result does not depend on the order of the input. Valid and test get ``held_out`` pairs each, or a few more if
    their last source sentence has several pairs.
    """
    by_source: dict[str, list[Pair]] = {}
    for pair in sorted(pairs):
        by_source.setdefault(source_key(pair), []).append(pair)
    order = sorted(by_source, key=lambda key: hashlib.sha256(f"{seed}\t{key}".encode()).digest())
    splits: dict[str, list[Pair]] = {"train": [], "valid": [], "test": []}
    for key in order:
        name = next((n for n in ("valid", "test") if len(splits[n]) < held_out), "train")
        splits[name] += by_source[key]
    return splits


def held_out(splits: Mapping[str, Iterable[Pair]]) -> tuple[dict[str, list[Pair]], frozenset[str]]:
    """Valid and the test sets of a corpus that comes with splits, and the keys of their sources, which train must not
    have.

    Only empty pairs are removed, so that scores are comparable with published ones, and from valid the pairs whose
    source is in a test set.
    """
    kept = {name: [pair for pair in pairs if all(side.strip() for side in pair)] for name, pairs in splits.items()}
    in_test = frozenset(source_key(pair) for name in kept if name != "valid" for pair in kept[name])
    kept["valid"] = [pair for pair in kept["valid"] if source_key(pair) not in in_test]
    return kept, in_test | frozenset(map(source_key, kept["valid"]))


def check_not_empty(counts: dict[str, int]) -> None:
    """Raise DataError if a split has no sentence."""
    for name, n in counts.items():
        if not n:
            raise DataError(f"split {name!r} has no sentence after cleaning; give more text")


def table(steps: list[Step]) -> str:
    """The steps as text in aligned columns."""
    width = max(32, *(len(step.filter) for step in steps))
    rows = [f"{'filter':{width}} {'removed':>8} {'left':>8}"]
    return "\n".join(rows + [f"{step.filter:{width}} {step.removed:8d} {step.left:8d}" for step in steps])
