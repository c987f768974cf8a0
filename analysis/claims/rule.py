"""The rule by which the records decide on a claim.

A claim is one or more quantities that are positive if it holds, each estimated on test with its 95 % interval (see
`significance`). The rule is older than the records that it decides on:

* *reproduced*: every interval lies above 0;
* *not reproduced*: some interval lies below 0, at a level of 1 - 0.05 / k for the k quantities of the claim;
* *inconclusive*: anything else, and whatever a single training seed shows.

What has to be chosen (a temperature) is chosen on valid. The printed estimate is that of the quantity that is worst for
the claim, counted in standard errors. A claim whose records are absent is not measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import significance
from ..significance import Estimate

Parts = dict[str, np.ndarray]
"""Quantities by name: vectors (seeds, draws + 1), as `significance.estimate` takes them."""


class Missing(Exception):
    """A claim needs records that are absent; the message names them."""


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper, its place there, and the paper's numbers.

    ``parts`` gives the quantities that are positive if it holds, in ``unit``, from the evidence of a study.
    """

    number: int
    words: str
    where: str
    paper: str
    unit: str
    parts: Callable[[Any], Parts]


@dataclass(frozen=True)
class Verdict:
    """The ``word`` on a claim, and the worst quantity: its name and estimate. ``why`` says what is missing."""

    claim: Claim
    word: str
    part: str = ""
    estimate: Estimate | None = None
    why: str = ""


def decide(claim: Claim, evidence: Any) -> Verdict:
    """Apply the rule at the head of this module."""
    try:
        parts = claim.parts(evidence)
    except Missing as missing:
        return Verdict(claim, "not measured", why=str(missing))
    estimates = {name: significance.estimate(vectors) for name, vectors in parts.items()}
    worst = min(estimates, key=lambda name: _in_errors(estimates[name]))
    if estimates[worst].n_seeds < 2:
        return Verdict(claim, "inconclusive", worst, estimates[worst], "one training seed")
    refuted = any(part.interval(1 - 0.05 / len(estimates))[1] < 0 for part in estimates.values())
    confirmed = all(part.interval()[0] > 0 for part in estimates.values())
    word = "not reproduced" if refuted else "reproduced" if confirmed else "inconclusive"
    return Verdict(claim, word, worst, estimates[worst])


def _in_errors(estimate: Estimate) -> float:
    return estimate.value / (estimate.error or np.finfo(float).tiny)
