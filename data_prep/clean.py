"""Which pairs are kept, and which split each one goes to."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import NamedTuple

from . import DataError
from .corpora import Pair, Splits

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


FILTERS: tuple[tuple[str, Callable[[Pair], bool]], ...] = (
    ("empty", lambda pair: not (pair[0].strip() and pair[1].strip())),
    ("equal to its source", lambda pair: pair[0].strip() == pair[1].strip()),
    (f"longer than {MAX_WORDS} words", lambda pair: max(len(side.split()) for side in pair) > MAX_WORDS),
    (f"length ratio over {MAX_RATIO:g}", _ratio_is_odd),
)


def clean(pairs: list[Pair]) -> tuple[list[Pair], list[Step]]:
    """The pairs that pass every filter, whitespace normalised, each once; and what each filter removed."""
    kept = [(" ".join(source.split()), " ".join(target.split())) for source, target in pairs]
    steps = [Step("read", 0, len(kept))]
    for name, is_bad in FILTERS:
        before = len(kept)
        kept = [pair for pair in kept if not is_bad(pair)]
        steps.append(Step(name, before - len(kept), len(kept)))
    unique = list(dict.fromkeys(kept))
    return unique, [*steps, Step("duplicate pair", len(kept) - len(unique), len(unique))]


def source_key(pair: Pair) -> str:
    """Two sources count as the same sentence when they differ in case and spaces only."""
    return " ".join(pair[0].casefold().split())


def split(pairs: list[Pair], held_out: int, seed: int) -> Splits:
    """Train, valid and test of pairs that have no split of their own.

    All pairs of one source go to the same split. Sources are ordered by a hash of seed and text, so the result does
    not depend on the order of the input; valid and test each get ``held_out`` pairs, or a few more if the last
    source has several. Raises DataError if nothing is left to train on.
    """
    groups: dict[str, list[Pair]] = {}
    for pair in sorted(pairs):
        groups.setdefault(source_key(pair), []).append(pair)
    order = sorted(groups, key=lambda key: hashlib.sha256(f"{seed}\t{key}".encode()).digest())
    splits: Splits = {"train": [], "valid": [], "test": []}
    for key in order:
        name = next((n for n in ("valid", "test") if len(splits[n]) < held_out), "train")
        splits[name] += groups[key]
    return checked(splits)


def without_leaks(splits: Splits) -> tuple[Splits, list[Step]]:
    """Splits that came with the corpus: valid and test stay whole but for empty pairs, so that scores compare;
    from train, and then from valid, goes every source that stands in a later one."""
    test = [pair for pair in splits["test"] if all(side.strip() for side in pair)]
    in_test = set(map(source_key, test))
    valid = [pair for pair in splits["valid"] if all(s.strip() for s in pair) and source_key(pair) not in in_test]
    train, steps = clean(splits["train"])
    held_out = in_test | set(map(source_key, valid))
    kept = [pair for pair in train if source_key(pair) not in held_out]
    steps.append(Step("source stands in valid or test", len(train) - len(kept), len(kept)))
    return checked({"train": kept, "valid": valid, "test": test}), steps


def checked(splits: Splits) -> Splits:
    """The splits themselves. Raises DataError if one has no sentence."""
    for name, pairs in splits.items():
        if not pairs:
            raise DataError(f"split {name!r} has no sentence after cleaning; give more text")
    return splits


def table(steps: list[Step]) -> str:
    """The steps as aligned columns."""
    rows = [f"{'filter':32} {'removed':>8} {'left':>8}"]
    return "\n".join(rows + [f"{step.filter:32} {step.removed:8d} {step.left:8d}" for step in steps])
