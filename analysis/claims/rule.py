"""The rule by which a claim is held against the records.

A claim is one or more quantities that are positive if it holds, each estimated on test with its 95 % interval (see
`significance`). The rule, fixed before the runs that it judges:

* *reproduced*: every interval lies above 0;
* *not reproduced*: some interval lies below 0, at a level of 1 - 0.05 / k for the k quantities of the claim;
* *inconclusive*: anything else, and whatever a single training seed shows.

What has to be chosen (a temperature) is chosen on valid. The printed estimate is that of the quantity that is worst for
the claim, counted in standard errors. A claim whose records are not there is not measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import significance
from ..significance import Estimate

ABOUT_THE_SAME = 0.011
"""ECE that a perfectly calibrated model shows at the paper's 10 000 tokens: its Table 3 can tell no finer."""

Parts = dict[str, np.ndarray]
"""Quantities by name: (seeds, draws + 1) vectors, as `significance.estimate` takes them."""


class Missing(Exception):
    """A claim needs records that are not there; the message names them."""


@dataclass(frozen=True)
class Claim:
    """What the paper says, where, with which numbers; and the quantities that are positive if it holds here, from the
    panels of its kind, in ``unit``."""

    number: int
    words: str
    where: str
    paper: str
    unit: str
    parts: Callable[..., Parts]


@dataclass(frozen=True)
class Finding:
    """The verdict on a claim, and the worst quantity: its name and estimate. ``why`` says what is missing."""

    claim: Claim
    verdict: str
    part: str = ""
    estimate: Estimate | None = None
    why: str = ""


def judge(claim: Claim, *panels: Any) -> Finding:
    """Apply the rule at the head of this module."""
    try:
        parts = claim.parts(*panels)
    except Missing as missing:
        return Finding(claim, "not measured", why=str(missing))
    found = {name: significance.estimate(values) for name, values in parts.items()}
    part = min(found, key=lambda name: found[name].value / (found[name].error or np.finfo(float).tiny))
    refuted = any(one.interval(1 - 0.05 / len(found))[1] < 0 for one in found.values())
    confirmed = all(one.interval()[0] > 0 for one in found.values())
    one_seed = found[part].n_seeds < 2
    verdict = "not reproduced" if refuted else "reproduced" if confirmed else "inconclusive"
    why = "one training seed" if one_seed else ""
    return Finding(claim, "inconclusive" if one_seed else verdict, part, found[part], why)
