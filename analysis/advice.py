"""The temperature to use for each run, in a sentence, and the gains that it rests on.

The candidate is the temperature of greatest likelihood on half of the fit split, which is never reported. "Use it"
needs gains in NLL and in forced ECE whose 95 % intervals lie above 0 on every reported split. Where BLEU falls (its
interval lies below 0), the candidate is for probabilities alone. Anything else is "keep T = 1".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from . import significance
from .quantities import ACCURACY, BLEU, CONFIDENCE, ECE, NLL, OVERCONFIDENCE, Quantity
from .rows import Row, at_fitted, select
from .selective import RIGHT, curve, kept_at
from .significance import Estimate
from .study import Entry, Study

LIKELIHOOD, BEST_BLEU = "likelihood", "BLEU"


@dataclass(frozen=True)
class Change:
    """A quantity of a run on a split at T = 1 and at the temperature that a criterion chose: values and ``gain``, which
    is positive where the quantity improves. Without another temperature only ``before`` is known."""

    mode: str
    quantity: Quantity
    criterion: str
    before: float
    temperature: float | None = None
    after: float | None = None
    gain: Estimate | None = None

    @property
    def name(self) -> str:
        """The title of the quantity, with its mode where both modes have it."""
        return f"{self.mode} {self.quantity.title}" if self.quantity is ECE else self.quantity.title

    @property
    def helps(self) -> bool:
        """Whether the interval of the gain lies above 0."""
        return self.gain is not None and self.gain.interval()[0] > 0

    @property
    def harms(self) -> bool:
        """Whether the interval of the gain lies below 0."""
        return self.gain is not None and self.gain.interval()[1] < 0


@dataclass(frozen=True)
class Advice:
    """The action for the run ``name`` in a few words, and its reasons: a sentence for each reported split."""

    name: str
    action: str
    reasons: Sequence[str]

    def __str__(self) -> str:
        return f"{self.name}: {self.action}. {' '.join(self.reasons)}"


def advice(study: Study) -> list[Advice]:
    """The advice for each run of a study by run, from all of its reported splits."""
    entries = study.of_main_search.entries
    copies = _copies(entries)
    return [_advice(entry, study, copies.get(entry.label)) for entry in entries]


def changes(rows: Sequence[Row], split: str, draws: int = significance.DRAWS) -> list[Change]:
    """The changes of the rows of one run on a split; none where the items of its records were not kept.

    ECE, NLL and BLEU at the temperature of greatest likelihood, BLEU also at that of best BLEU on the fit split.
    """
    forced, beam = (select(rows, split=split, mode=mode) for mode in ("forced", "beam"))
    best = _temperature_of_best_bleu(rows)
    wanted: tuple[tuple[Quantity, str, Sequence[Row], Sequence[Row]], ...] = (
        (ECE, LIKELIHOOD, forced, at_fitted(forced)),
        (NLL, LIKELIHOOD, forced, at_fitted(forced)),
        (ECE, LIKELIHOOD, beam, at_fitted(beam)),
        (BLEU, LIKELIHOOD, beam, at_fitted(beam)),
        (BLEU, BEST_BLEU, beam, [] if best is None else select(beam, temperature=best)),
    )
    measured = (
        _change(quantity, criterion, select(of_mode, temperature=1.0), there, draws)
        for quantity, criterion, of_mode, there in wanted
    )
    return [change for change in measured if change is not None]


def _change(
    quantity: Quantity, criterion: str, at_one: Sequence[Row], there: Sequence[Row], draws: int
) -> Change | None:
    """None where the quantity was not measured at T = 1, or its items were not kept."""
    before = quantity.resampled(at_one[-1], draws) if at_one else None
    after = quantity.resampled(there[-1], draws) if there else None
    value = quantity.mean(at_one[-1:])
    if before is None or value is None or (after is None and criterion == BEST_BLEU):
        return None
    mode = at_one[-1].record.mode
    if after is None:
        return Change(mode, quantity, criterion, value)
    gain = significance.estimate((quantity.better * (after - before))[np.newaxis])
    return Change(mode, quantity, criterion, value, there[-1].record.temperature, quantity.mean(there[-1:]), gain)


def _temperature_of_best_bleu(rows: Sequence[Row]) -> float | None:
    """The temperature of best BLEU on the fit split, the nearest to 1 of equal ones; None where none was fitted."""
    fitted_on = next((row.record.fitted_on for row in rows if row.record.fitted_on), None)
    scores = {
        row.record.temperature: row.record.bleu["score"]
        for row in select(rows, split=fitted_on, mode="beam")
        if row.record.bleu
    }
    return max(scores, key=lambda temperature: (scores[temperature], -abs(temperature - 1)), default=None)


def _advice(entry: Entry, study: Study, copy_of: str | None) -> Advice:
    by_split = {split: changes(entry.rows, split) for split in study.splits if entry.select(split=split)}
    reasons = [_reason(entry, split, known) for split, known in by_split.items()]
    if copy_of is not None:
        reasons.append(f"It has the weights of {copy_of}.")
    return Advice(entry.label, _action(entry, list(by_split.values())), reasons)


def _action(entry: Entry, by_split: Sequence[Sequence[Change]]) -> str:
    if not entry.select(mode="forced"):
        return "a temperature needs the model"
    fitted = [[change for change in of if change.criterion == LIKELIHOOD and change.gain] for of in by_split]
    decisive = [change for of in fitted for change in of if change.mode == "forced"]
    if not decisive:
        return "no advice, since no temperature was fitted or the items of the records are missing"
    if not all(change.helps for change in decisive):
        return "keep T = 1"
    temperature = f"{decisive[0].temperature:.2f}"
    if any(change.harms for of in fitted for change in of if change.quantity is BLEU):
        return f"use T = {temperature} for probabilities, and translate at T = 1"
    return f"use T = {temperature}"


def _reason(entry: Entry, split: str, known: Sequence[Change]) -> str:
    """The sentence about a run on a split, of which the changes are known."""
    forced = entry.select(split=split, mode="forced", temperature=1.0)
    searches = entry.select(split=split, mode="beam", temperature=1.0)
    if not forced:
        return f"{_reason_of_searches(searches, split)}{_selection(searches)}"
    parts = [_in_words(c) for c in known if c.criterion == LIKELIHOOD and (c.mode, c.quantity) != ("beam", ECE)]
    best = [c for c in known if c.criterion == BEST_BLEU and c.helps]
    parts += [f"for BLEU alone T = {c.temperature:.2f} is better: {_in_words(c)}" for c in best]
    fitted = next((c.temperature for c in known if c.temperature is not None), None)
    at = "" if fitted is None else f"at T = {fitted:.2f} "
    reason = f"On {split}: {confidence_in_words(forced)}{f'; {at}' * bool(parts)}{', '.join(parts)}."
    return f"{reason}{_selection(searches)}"


def _reason_of_searches(rows: Sequence[Row], split: str) -> str:
    ece, bleu = (_with_interval(quantity, rows) for quantity in (ECE, BLEU))
    floor = rows[-1].record.bins.noise_floor(np.random.default_rng(1))[0]
    return f"On {split}: {confidence_in_words(rows)}, beam ECE {ece} (calibrated: {floor:.3f}), BLEU {bleu}."


def _selection(rows: Sequence[Row]) -> str:
    """What is kept at T = 1 by the scores of the last search; empty where its sentences have no scores."""
    drawn = curve(rows[-1]) if rows else None
    if drawn is None:
        return ""
    coverage, risk = drawn
    half, whole = (100 * (1 - risk[place]) for place in (np.searchsorted(coverage, 0.5), -1))
    words = f" The surer half of the sentences has chrF {half:.1f}, all have {whole:.1f} (means of sentences)"
    kept = kept_at(rows[-1].record.bins)
    if kept is None:
        words += f"; no threshold of the probability keeps tokens of which {RIGHT:.0%} are right."
    else:
        words += f"; of the generated tokens those of probability {kept.threshold:.2f} and more, {kept.share:.0%}, are "
        words += f"{kept.accuracy:.0%} right."
    return words.replace("%", " %")


def _with_interval(quantity: Quantity, rows: Sequence[Row]) -> str:
    digits, bounds = _digits(quantity), quantity.interval(rows)
    spread = "" if bounds is None else f" [{bounds[0]:.{digits}f} to {bounds[1]:.{digits}f}]"
    return f"{quantity.text(quantity.mean(rows), digits)}{spread}"


def confidence_in_words(rows: Sequence[Row]) -> str:
    """Whether the predictions are too sure, by the interval of confidence less accuracy. No word without items."""
    numbers = f"confidence {CONFIDENCE.text(CONFIDENCE.mean(rows))}, accuracy {ACCURACY.text(ACCURACY.mean(rows))}"
    bounds = OVERCONFIDENCE.interval(rows)
    if bounds is None:
        return numbers
    low, high = bounds
    word = "over-confident" if low > 0 else "under-confident" if high < 0 else "neither over- nor under-confident"
    return f"{word} ({numbers})"


def _in_words(change: Change) -> str:
    quantity, digits = change.quantity, _digits(change.quantity)
    before = f"{change.name.removesuffix(', nats')} {quantity.text(change.before, digits)}"
    unit = " nats" if quantity is NLL else ""
    if change.gain is None:
        return f"{before}{unit}"
    after = f"{before} to {quantity.text(change.after, digits)}{unit}"
    low, high = change.gain.interval()
    if quantity is not BLEU:
        return f"{after} (gain {low:.{digits}f} to {high:.{digits}f})"
    shown = after if change.helps or change.harms else f"{before} unchanged"
    return f"{shown} ({low:+.{digits}f} to {high:+.{digits}f})"


def _digits(quantity: Quantity) -> int:
    return 1 if quantity is BLEU else 3


def _copies(entries: Sequence[Entry]) -> dict[str, str]:
    """Of each run whose weights and data are those of an earlier one: the earlier one's name."""
    first: dict[tuple[str, str], str] = {}
    copies: dict[str, str] = {}
    for entry in entries:
        sha = entry.rows[0].record.sha
        earlier = first.setdefault((sha["checkpoint"], sha["data"]), entry.label)
        if earlier != entry.label:
            copies[entry.label] = earlier
    return copies
