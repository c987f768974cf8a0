"""Valid and test of whole packages, in which each kind of text has its share, and train in a nested order."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence

from .sentences import Sentence

HELD_OUT = 1500
"""About how many sentence pairs valid and test have each; a tenth of a small corpus."""
_MIN_GROUPS = 8
"""Each split has pairs of at least so many groups of a kind."""


def split(sentences: Sequence[Sentence], seed: int, held_out: int = HELD_OUT) -> dict[str, list[Sentence]]:
    """Train, valid and test of whole groups, and as "rest" what valid and test do not need of their groups.

    In valid and test each kind has its share of ``held_out`` pairs. Groups come in the order of a hash of seed and
    name. Each goes to the first split in which its kind's share is not filled, if it is not larger than the share; a
    large one gives a part of it. Pairs of train are in the order of a hash of seed and text: the first N are a sample,
    and those of a smaller N are among them.
    """
    held_out = min(held_out, len(sentences) // 10)
    groups: dict[tuple[str, str], list[Sentence]] = defaultdict(list)
    for sentence in sorted(sentences, key=lambda sentence: _hash(seed, *sentence.pair)):
        groups[sentence.kind, sentence.group].append(sentence)
    of_kind = Counter(sentence.kind for sentence in sentences)
    filled: Counter[tuple[str, str]] = Counter()
    splits: dict[str, list[Sentence]] = {"train": [], "valid": [], "test": [], "rest": []}
    for kind, group in sorted(groups, key=lambda name: _hash(seed, *name)):
        members, share = groups[kind, group], round(held_out * of_kind[kind] / len(sentences))
        name = next((name for name in ("valid", "test") if filled[kind, name] < share), None)
        if name is None or len(members) > share:
            splits["train"] += members
            continue
        n = min(len(members), -(-share // _MIN_GROUPS), share - filled[kind, name])
        filled[kind, name] += n
        splits[name] += members[:n]
        splits["rest"] += members[n:]
    splits["train"].sort(key=lambda sentence: _hash(seed, *sentence.pair))
    for name in ("valid", "test"):  # kind after kind, so that each is a part of the split
        splits[name].sort(key=lambda sentence: sentence.kind)
    return splits


def _hash(seed: int, *words: str) -> bytes:
    return hashlib.sha256("\t".join((str(seed), *words)).encode()).digest()
