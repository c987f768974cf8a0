"""The rule by which records decide on the paper's claims.

A claim has parts, each an inequality with a letter: 3a, 3b. A part is estimated on the reported split for each pair of
models that it is about, over training seeds and items (see `significance`). What has to be chosen, as a temperature, is
chosen on the split that temperatures were fitted on. There are three kinds of parts:

* "greater": the value is above 0. *Reproduced* if its 95 % interval lies above 0, *not reproduced* if below.
* "same": the value is 0, but for a margin. *Reproduced* if two one-sided tests find it within the margin at a level of
  5 %, *not reproduced* if the 95 % interval leaves out 0.
* "no worse": the value is not below 0 by more than a margin. *Reproduced* if a one-sided test finds so at 5 %, *not
  reproduced* if the 95 % interval lies below 0.

The margin is the resolution of the data: the least difference that they would find with a power of 80 %, which is 2.8
standard errors of the paired difference, or more for few seeds. So "same" means that a difference is less than the data
can find, and more seeds make it say more.

Anything else is *inconclusive*, and so is whatever a single seed shows. *Premise not met* is a part about an effect
that these models do not show, *not testable* one whose two sides are the same measurement, *not measured* one whose
records are absent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from .. import significance
from ..significance import Estimate

Kind = Literal["greater", "same", "no worse"]
_LEVEL = 0.05


class Missing(Exception):
    """A part needs records that are absent; the message names them."""


class PremiseNotMet(Exception):
    """A part is about an effect that the models do not show; the message says which."""


class NotTestable(Exception):
    """The two sides of a part are the same measurement; the message says why."""


_WORDS = {Missing: "not measured", PremiseNotMet: "premise not met", NotTestable: "not testable"}


class Measured(NamedTuple):
    """Vectors (seeds, draws + 1), as `significance.estimate` takes them, and a note on what was chosen for them."""

    vectors: np.ndarray
    note: str = ""


@dataclass(frozen=True)
class Part:
    """An inequality: what is estimated, in words and in ``unit``, and a function of a subject that measures it."""

    words: str
    unit: str
    measure: Callable[[Any], Measured]
    kind: Kind = "greater"


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper, its place there, and the paper's numbers.

    ``subjects`` gives what its parts are about, by name, from the evidence of a study: pairs of models, or all of it.
    """

    number: int
    words: str
    where: str
    paper: str
    parts: Sequence[Part]
    subjects: Callable[[Any], Mapping[str, Any]]


@dataclass(frozen=True)
class Verdict:
    """The ``word`` on a part for a ``subject``, its estimate and ``margin``, and p-values: alone, and ``adjusted`` for
    all parts of the study (Holm 1979). ``why`` says what is missing or chosen."""

    claim: Claim
    part: Part
    subject: str
    word: str
    why: str = ""
    estimate: Estimate | None = None
    margin: float | None = None
    p_value: float | None = None
    adjusted: float | None = None

    @property
    def label(self) -> str:
        """The number of the claim with the letter of the part: "3b"."""
        return f"{self.claim.number}{'abcdefgh'[list(self.claim.parts).index(self.part)]}"

    @property
    def is_open(self) -> bool:
        """Whether it was measured and is not decided."""
        return self.word == "inconclusive"


def decide(claims: Sequence[Claim], evidence: Any) -> list[Verdict]:
    """The verdict on each part of each claim for each of its subjects, by the rule at the head of this module."""
    verdicts = [verdict for claim in claims for verdict in _of_claim(claim, evidence)]
    tested = [i for i, verdict in enumerate(verdicts) if verdict.p_value is not None]
    adjusted = significance.holm([verdicts[i].p_value or 0.0 for i in tested])
    for i, p_value in zip(tested, adjusted, strict=True):
        verdicts[i] = replace(verdicts[i], adjusted=p_value)
    return verdicts


def _of_claim(claim: Claim, evidence: Any) -> list[Verdict]:
    try:
        subjects = claim.subjects(evidence)
    except Missing as missing:
        return [Verdict(claim, part, "", _WORDS[Missing], str(missing)) for part in claim.parts]
    return [_of_part(claim, part, name, subject) for part in claim.parts for name, subject in subjects.items()]


def _of_part(claim: Claim, part: Part, name: str, subject: Any) -> Verdict:
    try:
        vectors, note = part.measure(subject)
    except tuple(_WORDS) as reason:
        return Verdict(claim, part, name, _WORDS[type(reason)], str(reason))
    estimate = significance.estimate(vectors)
    if estimate.n_seeds < 2:
        return Verdict(claim, part, name, "inconclusive", joined(note, "one training seed"), estimate)
    margin = None if part.kind == "greater" else estimate.resolution
    word, p_value = _decided(part.kind, estimate, margin or 0.0)
    return Verdict(claim, part, name, word, note, estimate, margin, p_value)


def _decided(kind: Kind, estimate: Estimate, margin: float) -> tuple[str, float]:
    """The word and the p-value of the test that decides."""
    low, high = estimate.interval()
    if high < 0 or (kind == "same" and low > 0):
        return "not reproduced", estimate.p_value()
    if kind == "greater":
        return "reproduced" if low > 0 else "inconclusive", estimate.p_value()
    p_value = estimate.p_equivalent(margin) if kind == "same" else estimate.p_greater_than(-margin)
    return "reproduced" if p_value < _LEVEL else "inconclusive", p_value


def joined(*texts: str) -> str:
    """The texts that are not empty, as one note."""
    return "; ".join(text for text in texts if text)
