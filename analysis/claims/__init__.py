"""Each claim of the paper, and what the records of a study say about it."""

from __future__ import annotations

from collections.abc import Sequence

from .. import significance
from ..study import Study
from . import images, translation
from .rule import Verdict, decide

HEADER = ("claim", "where", "paper", "verdict", "estimate", "95 %", "of")


def verdicts(study: Study, draws: int = significance.DRAWS) -> list[Verdict]:
    """The verdict on every claim about models of the study's kind."""
    module = images if study.is_of_images else translation
    evidence = module.Evidence(study, draws)
    return [decide(claim, evidence) for claim in module.CLAIMS]


def cells(of_claims: Sequence[Verdict]) -> list[list[str]]:
    """A line a claim: words, where, the paper's numbers, verdict, estimate, interval, and what it is of."""
    return [_line(verdict) for verdict in of_claims]


def _line(verdict: Verdict) -> list[str]:
    claim, estimate = verdict.claim, verdict.estimate
    word = f"{verdict.word} ({verdict.why})" if verdict.why else verdict.word
    line = [f"{claim.number}. {claim.words}", claim.where, claim.paper, word]
    if estimate is None:
        return [*line, "", "", ""]
    low, high = estimate.interval()
    digits = 2 if is_coarse(verdict.part, estimate.value) else 4
    seeds = f"{estimate.n_seeds} seed" + "s" * (estimate.n_seeds > 1)
    known = high > low + 1e-12 or estimate.n_seeds > 1  # one seed, not resampled: no interval but rounding
    return [
        *line,
        f"{estimate.value:+.{digits}f}",
        f"{low:+.{digits}f} to {high:+.{digits}f}" if known else "",
        f"{verdict.part} ({claim.unit}; {seeds})",
    ]


def is_coarse(part: str, value: float) -> bool:
    """Whether a quantity is shown with two digits fewer: BLEU, and whatever is at least 1."""
    return abs(value) >= 1 or "BLEU(" in part
