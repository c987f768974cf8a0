"""Sentence pairs of the corpus: texts without their marks, split into sentences, and the filters of cleaning."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from .. import clean
from .readers import Text

MIN_WORDS = 3
"""Least number of English words; a German compound may join them, so that two German ones are enough."""
_MIN_LETTERS = 0.7
_MAX_PLACEHOLDERS = 6
_MAX_SHARED = 0.7
_LONG = 5
_ENGLISH = set(re.findall(r"\w+", "the and of to is are with for this that you your from not be can will or in"))
_GERMAN = set(
    re.findall(
        r"\w+",
        "der die das und ist nicht mit für ein eine einen den dem des von zu auf im werden wird sie es oder sich als",
    )
)
_ENDS = re.compile(r"(?<=[.!?])\s+(?=[\"'(„»A-ZÄÖÜ])")
_TAG = re.compile(
    r"</?(a|b|big|body|br|center|cite|code|dd|div|dl|dt|em|font|h[1-6]|hr|html|i|img|kbd|li|ol|p|pre|qt|s|small|span"
    r"|strong|sub|sup|table|td|th|tr|tt|u|ul)(\s[^<>]*)?/?>",
    re.IGNORECASE,
)
"""HTML. Other words in angle brackets are placeholders, as in "git <command>"."""
_BULLET = re.compile(r"^[-*+o•]\s+")


class Sentence(NamedTuple):
    """A sentence pair and its origin: its ``kind``, its ``package``, and the ``group`` that is held out whole."""

    source: str
    target: str
    kind: str
    package: str
    group: str

    @property
    def pair(self) -> tuple[str, str]:
        """Both sides."""
        return self.source, self.target


def of_text(text: Text, kind: str, package: str) -> Iterator[Sentence]:
    """The sentence pairs of a text; the whole text where its sides have different numbers of sentences."""
    sides = [
        " ".join(_BULLET.sub("", _TAG.sub(" ", html.unescape(side))).split()) for side in (text.source, text.target)
    ]
    source, target = _without_accelerators(*sides)
    parts = [(source, target)]
    sources, targets = _ENDS.split(source), _ENDS.split(target)
    if len(sources) == len(targets):
        parts = list(zip(sources, targets, strict=True))
    for pair in parts:
        yield Sentence(*pair, kind, package, text.group)


def _without_accelerators(source: str, target: str) -> tuple[str, str]:
    """Both sides without the mark of a menu's key, as in "_File", "&File" and "~File".

    A mark inside a word counts as one where each side has one, in different words: "max_size" in both is a name.
    """
    for mark in "_&~":
        words = [re.findall(rf"\w*{mark}\w+", side) if side.count(mark) == 1 else [] for side in (source, target)]
        inside = all(words) and words[0] != words[1]
        source, target = (
            side.replace(mark, "") if found and (inside or found[0].startswith(mark)) else side
            for side, found in zip((source, target), words, strict=True)
        )
    return source, target


def key(source: str) -> str:
    """The words of a source without case, digits and punctuation."""
    return " ".join(re.findall(r"[^\W\d_]+", source.casefold()))


def keys(source: str) -> set[str]:
    """The key of a source, and those of its sentences that have at least `MIN_WORDS` words."""
    parts = {key(part) for part in _ENDS.split(source)}
    return {key(source)} | {part for part in parts if part.count(" ") + 1 >= MIN_WORDS}


class HeldOut:
    """The sources of other splits, which train must not have: their sentences, and what differs by one word."""

    def __init__(self, sources: Iterable[str]) -> None:
        sources = list(sources)
        self._keys = set().union(*map(keys, sources))
        self._gapped = {gapped for source in sources for gapped in _gapped(key(source))}

    def has_sentence_of(self, sentence: Sentence) -> bool:
        """Whether a sentence of the source is one of theirs, without case, digits and punctuation."""
        return not self._keys.isdisjoint(keys(sentence.source))

    def has_neighbour_of(self, sentence: Sentence) -> bool:
        """Whether a source of at least `_LONG` words differs from one of theirs in one word."""
        return any(gapped in self._gapped for gapped in _gapped(key(sentence.source)))


def _gapped(source: str) -> Iterator[str]:
    """The words of a long key with a gap in the place of each."""
    words = source.split()
    if len(words) >= _LONG:
        yield from (" ".join((*words[:i], "_", *words[i + 1 :])) for i in range(len(words)))


def filters() -> dict[str, Callable[[Sentence], bool]]:
    """The filters of cleaning in their order, by name. The last one remembers the sources of a pass."""
    seen: set[str] = set()

    def is_known(sentence: Sentence) -> bool:
        source = key(sentence.source)
        if source in seen:
            return True
        seen.add(source)
        return False

    return {
        "empty or equal to its source": lambda s: not s.source or not s.target or s.source == s.target,
        f"not {MIN_WORDS} to {clean.MAX_WORDS} words": _has_odd_length,
        f"length ratio over {clean.MAX_RATIO:g}": _has_odd_ratio,
        "fewer than 70 % letters": _has_few_letters,
        "more than six placeholders": lambda s: any(sum(map(side.count, "%{$")) > _MAX_PLACEHOLDERS for side in s.pair),
        "German side is English": _is_english,
        "same words as another source": is_known,
    }


def _has_odd_length(sentence: Sentence) -> bool:
    source, target = (side.count(" ") + 1 for side in sentence.pair)
    return not (MIN_WORDS <= source <= clean.MAX_WORDS and MIN_WORDS - 1 <= target <= clean.MAX_WORDS)


def _has_odd_ratio(sentence: Sentence) -> bool:
    lengths = [sorted(map(measure, sentence.pair)) for measure in (len, lambda side: side.count(" ") + 1)]
    return any(long > clean.MAX_RATIO * short for short, long in lengths)


def _has_few_letters(sentence: Sentence) -> bool:
    return any(sum(c.isalpha() or c.isspace() for c in side) < _MIN_LETTERS * len(side) for side in sentence.pair)


def _is_english(sentence: Sentence) -> bool:
    """Whether the German side has function words of English alone, or most of its words from the English side."""
    source, target = (key(side).split() for side in sentence.pair)
    words = set(target)
    foreign = len(words & _ENGLISH - {"in"})
    shared = sum(word in source for word in target)
    return (foreign >= 2 and foreign > len(words & _GERMAN)) or shared > _MAX_SHARED * len(target)
