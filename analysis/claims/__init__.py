"""Each claim of the paper by its parts, and what the records of a study say about them.

- `rule`: the words and how they are decided.
- `pair` and `image_evidence`: the quantities of a model and its smoothed one. `size_evidence`: those of several sizes.
- `translation`, `images`, `sizes`: the claims, by the kind of study. `search_temperature`: those about the temperature
  of a search. `teaching`: those about distillation. `selective`: those about selective prediction.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from .. import significance
from ..significance import Estimate
from ..study import Study
from . import image_evidence, images, selective, size_evidence, sizes, teaching, translation
from .rule import Claim, Verdict, decide

HEADER = ("part", "verdict", "estimate", "95 %", "margin", "p", "signs", "to decide")


def verdicts(study: Study, draws: int = significance.DRAWS) -> list[Verdict]:
    """The verdict on each part of every claim about models of the study's kind."""
    if study.is_of_images:
        of_images = sorted([*images.CLAIMS, *teaching.CLAIMS, selective.IMAGES], key=lambda claim: claim.number)
        return decide(of_images, image_evidence.Evidence(study, draws))
    if len(study.sizes) > 1:
        return decide(sizes.CLAIMS, size_evidence.Evidence(study, draws))
    return decide([*translation.CLAIMS, selective.TRANSLATIONS], translation.Evidence(study, draws))


def by_claim(of_parts: Sequence[Verdict]) -> list[tuple[Claim, list[Verdict]]]:
    """Each claim with the verdicts on its parts."""
    return [(claim, list(verdicts)) for claim, verdicts in itertools.groupby(of_parts, lambda verdict: verdict.claim)]


def cells(of_parts: Sequence[Verdict]) -> list[list[str]]:
    """A line for each claim, of one cell, followed by a line for each of its parts."""
    lines = []
    for claim, verdicts in by_claim(of_parts):
        lines.append([heading(claim), *[""] * (len(HEADER) - 1)])
        lines += [[part_in_words(verdict), _word(verdict), *numbers(verdict)] for verdict in verdicts]
    return lines


def heading(claim: Claim) -> str:
    """The claim with its place in the paper, and the paper's numbers."""
    return f"{claim.number}. {claim.words} ({claim.where}: {claim.paper})"


def part_in_words(verdict: Verdict) -> str:
    """The part with its label and its subject: "13a. ECE(0) - ECE(0.1), alexnet (ECE)"."""
    subject = f", {verdict.subject}" if verdict.subject else ""
    return f"{verdict.label}. {verdict.part.words}{subject} ({verdict.part.unit})"


def _word(verdict: Verdict) -> str:
    return f"{verdict.word} ({verdict.why})" if verdict.why else verdict.word


def numbers(verdict: Verdict) -> list[str]:
    """The cells after a verdict: estimate, 95 % interval, margin, p-value adjusted for all parts of the study, how many
    seeds are above 0 with the p-value of the sign test, and how many seeds would decide a part that is open."""
    estimate = verdict.estimate
    if estimate is None:
        return [""] * (len(HEADER) - 2)
    low, high = estimate.interval()
    digits = digits_of(verdict)
    return [
        f"{estimate.value:+.{digits}f}",
        f"{low:+.{digits}f} to {high:+.{digits}f}" if high > low + 1e-12 else "",
        "" if verdict.margin is None else f"{verdict.margin:.{digits}f}",
        "" if verdict.adjusted is None else _p_value(verdict.adjusted),
        _signs(estimate),
        _to_decide(verdict),
    ]


def _p_value(value: float) -> str:
    return f"{value:.2g}" if value >= 1e-4 else "< 0.0001"


def _signs(estimate: Estimate) -> str:
    above = sum(value > 0 for value in estimate.of_seeds)
    return f"{above}/{estimate.n_seeds}, p {estimate.sign_test():.2g}" if estimate.n_seeds > 1 else f"{above}/1"


def _to_decide(verdict: Verdict) -> str:
    if not verdict.is_open or verdict.estimate is None or verdict.estimate.n_seeds == 1:
        return ""
    seeds = verdict.estimate.seeds_to_decide()
    return "over 1000 seeds" if seeds is None else f"{seeds} seeds"


def digits_of(verdict: Verdict) -> int:
    """The decimals of an estimate: two of scores of translations and of whatever is at least 1, else four."""
    value = 0.0 if verdict.estimate is None else verdict.estimate.value
    return 2 if abs(value) >= 1 or verdict.part.unit in ("BLEU", "chrF", "TER") else 4
