"""A probabilistic English-German grammar whose true p(next word | source, prefix) is known.

Sources are drawn without repetition. A source determines its German sentence except for synonyms, each drawn
independently with a known probability. German has the adverb after the verb and the participle at the end, so that a
model has word order to learn as well as words. Corpora of any size consist of pairs of such sentences, joined.
"""

from __future__ import annotations

import functools
import itertools
import math
import random
from collections.abc import Iterable, Iterator, Sequence

from . import DataError

Distribution = dict[str, float]
END = "</s>"

_NOUNS: dict[str, tuple[str, Distribution]] = {  # English: (gender, German words with their probabilities)
    "dog": ("m", {"Hund": 0.8, "Vierbeiner": 0.2}),
    "cat": ("f", {"Katze": 0.7, "Mieze": 0.3}),
    "horse": ("n", {"Pferd": 0.6, "Ross": 0.4}),
    "woman": ("f", {"Frau": 0.5, "Dame": 0.5}),
    "boy": ("m", {"Junge": 0.55, "Bub": 0.45}),
    "girl": ("n", {"Mädchen": 0.9, "Kind": 0.1}),
    "doctor": ("m", {"Arzt": 0.75, "Doktor": 0.25}),
    "car": ("n", {"Auto": 0.65, "Fahrzeug": 0.35}),
}
_ADJECTIVES: dict[str, Distribution] = {
    "small": {"kleine": 0.7, "winzige": 0.3},
    "fast": {"schnelle": 0.6, "flinke": 0.4},
    "old": {"alte": 0.9, "betagte": 0.1},
    "beautiful": {"schöne": 0.5, "hübsche": 0.5},
    "quiet": {"leise": 0.6, "stille": 0.4},
}
_VERBS: dict[str, Distribution] = {
    "seen": {"gesehen": 0.8, "erblickt": 0.2},
    "found": {"gefunden": 0.65, "entdeckt": 0.35},
    "followed": {"verfolgt": 1.0},
    "painted": {"gemalt": 0.7, "gezeichnet": 0.3},
    "bought": {"gekauft": 0.6, "erworben": 0.4},
}
_ADVERBS: dict[str, Distribution] = {
    "today": {"heute": 1.0},
    "often": {"oft": 0.6, "häufig": 0.4},
    "suddenly": {"plötzlich": 0.75, "jäh": 0.25},
}
_NOMINATIVE = {"m": "der", "f": "die", "n": "das"}
_ACCUSATIVE = {"m": "den", "f": "die", "n": "das"}
# The words of "the ADJECTIVE NOUN has VERB the NOUN ADVERB".
_SLOTS = (list(_ADJECTIVES), list(_NOUNS), list(_VERBS), list(_NOUNS), list(_ADVERBS))


def sources() -> list[str]:
    """All 4 800 English sentences of the grammar, in a fixed order."""
    return [f"the {a} {s} has {v} the {o} {t}" for a, s, v, o, t in itertools.product(*_SLOTS)]


def slots(source: str) -> list[Distribution]:
    """The distribution of each German word of a source, the end of sentence last.

    Given the source, a word does not depend on the words before it. Raises ValueError for a sentence outside the
    grammar.
    """
    first, joined, second = source.partition(" and ")
    if joined:
        return [*_slots(first)[:-1], {"und": 1.0}, *_slots(second)]
    return _slots(source)


@functools.cache
def _slots(source: str) -> list[Distribution]:
    try:
        _, adjective, subject, _, verb, _, thing, adverb = source.split()
        subject_gender, subject_words = _NOUNS[subject]
        thing_gender, thing_words = _NOUNS[thing]
        return [
            {_NOMINATIVE[subject_gender]: 1.0},
            _ADJECTIVES[adjective],
            subject_words,
            {"hat": 1.0},
            _ADVERBS[adverb],
            {_ACCUSATIVE[thing_gender]: 1.0},
            thing_words,
            _VERBS[verb],
            {END: 1.0},
        ]
    except (KeyError, ValueError):
        raise ValueError(f"not a sentence of the grammar: {source!r}") from None


def vocabulary() -> list[str]:
    """All German words and the end of sentence, sorted."""
    words = {word for source in sources() for slot in slots(source) for word in slot}
    return sorted(words)


def next_word_probabilities(source: str, prefix: Sequence[str]) -> Distribution:
    """The true distribution of the German word after ``prefix``. Raises ValueError for a prefix of probability 0."""
    chain = slots(source)
    if len(prefix) >= len(chain) or any(w not in slot for w, slot in zip(prefix, chain, strict=False)):
        raise ValueError(f"impossible prefix {' '.join(prefix)!r} for {source!r}")
    return chain[len(prefix)]


def pairs(n: int, seed: int) -> list[tuple[str, str]]:
    """``n`` pairs with different sources. Raises ValueError for more than the grammar's sentences."""
    rng = random.Random(seed)
    chosen = rng.sample(sources(), n)
    return [(source, " ".join(_draw(slot, rng) for slot in slots(source)[:-1])) for source in chosen]


def joined_pairs(seed: int) -> Iterator[tuple[str, str]]:
    """23 million pairs of two joined sentences each, with different sources, in a pseudorandom order."""
    clauses = sources()
    total = len(clauses) ** 2
    rng = random.Random(seed)
    start, step = rng.randrange(total), rng.randrange(total)
    while math.gcd(step, total) > 1:  # a step without common factors reaches every number once
        step += 1
    for i in range(total):
        first, second = divmod((start + i * step) % total, len(clauses))
        source = f"{clauses[first]} and {clauses[second]}"
        yield source, " ".join(_draw(slot, rng) for slot in slots(source)[:-1])


def splits(seed: int, n: int | None = None) -> dict[str, Iterable[tuple[str, str]]]:
    """Train, valid and test with 2 000, 200 and 211 pairs; with ``n``, train has that many pairs of joined sentences.

    The size of test is prime, so that code which drops a last batch gives a wrong count. Raises DataError for more
    pairs than the grammar has.
    """
    sizes = {"valid": 200, "test": 211}
    if n is None:
        drawn = pairs(2411, seed)
        return {"train": drawn[:2000], "valid": drawn[2000:2200], "test": drawn[2200:]}
    if not 0 < n <= len(sources()) ** 2 - sum(sizes.values()):
        raise DataError(f"--pairs {n}: the grammar has 1 to {len(sources()) ** 2 - sum(sizes.values())} for train")
    stream = joined_pairs(seed)
    held_out = {name: list(itertools.islice(stream, size)) for name, size in sizes.items()}
    return {"train": itertools.islice(stream, n), **held_out}


def _draw(slot: Distribution, rng: random.Random) -> str:
    """A word from its distribution."""
    return rng.choices(list(slot), weights=list(slot.values()))[0]
