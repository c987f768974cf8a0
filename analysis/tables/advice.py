"""The temperature to use for each model, chosen on valid, and what it gains on test, with its interval."""

from __future__ import annotations

from collections.abc import Sequence

from .. import significance
from ..rows import Row, at_fitted, main_search, number, resampled, select

HEADER = ("model", "quantity", "temperature", "chosen on valid by", "at T = 1", "at that T", "gain", "95 %")


def lines(rows: Sequence[Row], draws: int = significance.DRAWS) -> list[list[str]]:
    """For each run: ECE and NLL at the temperature of greatest likelihood, BLEU at that of best BLEU. A gain is an
    improvement; its interval is that of one model over resamples of the test sentences. Where no other temperature was
    measured there is only the value; what was not measured at T = 1 has no line."""
    by_run: dict[str, list[Row]] = {}
    for row in main_search(rows):
        by_run.setdefault(row.record.run, []).append(row)
    found = []
    for run, ours in sorted(by_run.items()):
        test = select(ours, split="test")
        forced, beam = select(test, mode="forced"), select(test, mode="beam")
        found += _line(run, "forced ECE", "ece", "likelihood", forced, at_fitted(forced), draws)
        found += _line(run, "NLL, nats", "nll", "likelihood", forced, at_fitted(forced), draws)
        found += _line(run, "beam ECE", "ece", "likelihood", beam, at_fitted(beam), draws)
        found += _line(run, "BLEU", "bleu", "BLEU", beam, select(beam, temperature=_best_on_valid(ours)), draws)
    return found


def _best_on_valid(rows: Sequence[Row]) -> float | None:
    beam = select(rows, split="valid", mode="beam")
    scores = {row.record.temperature: row.record.bleu["score"] for row in beam if row.record.bleu}
    return max(scores, key=lambda temperature: scores[temperature], default=None)


def _line(
    run: str, name: str, quantity: str, chosen_by: str, test: list[Row], chosen: list[Row], draws: int
) -> list[list[str]]:
    digits = 2 if quantity == "bleu" else 4
    # The even-numbered sentences of a split that chose the temperature do not report.
    held_out = bool(chosen) and chosen[-1].record.fitted_on == chosen[-1].record.split
    before, after = (
        resampled(rows[-1], quantity, draws, slice(held_out, None, 1 + held_out)) if rows else None
        for rows in (select(test, temperature=1.0), chosen)
    )
    if before is None:
        return []
    if after is None:
        return [[run, name, "", "", number(before[0], digits), "", "", ""]]
    gained = significance.estimate((after - before if quantity == "bleu" else before - after)[None])
    low, high = gained.interval()
    return [
        [
            run,
            name,
            number(chosen[-1].record.temperature, 2),
            chosen_by,
            number(before[0], digits),
            number(after[0], digits),
            f"{gained.value:+.{digits}f}",
            f"{low:+.{digits}f} to {high:+.{digits}f}",
        ]
    ]
