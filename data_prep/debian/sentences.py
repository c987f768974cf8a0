"""Sentence pairs of the corpus: texts without their marks, split into sentences, and the filters of cleaning."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from .. import clean
from .readers import Text

MIN_WORDS = 3
"""Least number of English words; a German compound may join them, so that two German ones are enough."""
_MIN_LETTERS = 0.7
_MAX_PLACEHOLDERS = 6
_MAX_SHARED = 0.7
_ENGLISH = set(re.findall(r"\w+", "the and of to is are with for this that you your from not be can will or in"))
_GERMAN = set(
    re.findall(
        r"\w+",
        "der die das und ist nicht mit für ein eine einen den dem des von zu auf im werden wird sie es oder sich als",
    )
)
_ENDS = re.compile(r"(?<=[.!?])\s+(?=[\"'(„»A-ZÄÖÜ])")
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
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
    """Both sides without the mark of a menu's key, as in "_File", "&File" and "~File"."""
    for mark in "_&~":
        places = [re.findall(rf"\w*{mark}\w+", side) for side in (source, target)]
        if all(len(place) == 1 and side.count(mark) == 1 for place, side in zip(places, (source, target), strict=True)):
            (word,), (other,) = places
            if word != other or word.startswith(mark):  # the same word in both is a name, as max_size
                source, target = source.replace(mark, ""), target.replace(mark, "")
    return source, target


def key(source: str) -> str:
    """The words of a source without case, digits and punctuation."""
    return " ".join(re.findall(r"[^\W\d_]+", source.casefold()))


def keys(source: str) -> set[str]:
    """The key of a source, and those of its sentences that have at least `MIN_WORDS` words."""
    parts = {key(part) for part in _ENDS.split(source)}
    return {key(source)} | {part for part in parts if part.count(" ") + 1 >= MIN_WORDS}


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
