"""The temperature to use for each run, chosen on valid, and what it gains on test, with its interval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from .. import significance
from ..quantities import BLEU, ECE, NLL, Quantity, number
from ..rows import Row, at_fitted, main_search, select
from ..study import Study
from .layout import Table

HEADER = ("model", "quantity", "temperature", "chosen on valid by", "at T = 1", "at that T", "gain", "95 %")


@dataclass(frozen=True)
class Choice:
    """A quantity on the report's split at T = 1, and at the temperature that a criterion chose on valid."""

    name: str
    quantity: Quantity
    criterion: str
    at_one: Sequence[Row]
    chosen: Sequence[Row]


def table(study: Study, split: str = "test", draws: int = significance.DRAWS) -> Table:
    """Lines of each run: ECE and NLL at the temperature of greatest likelihood, BLEU at that of best BLEU.

    A gain is an improvement; its interval is over resamples of the sentences. Where no other temperature was measured
    there is only the value. What was not measured at T = 1 has no line.
    """
    cells = []
    entries = study.with_rows(main_search(study.rows)).entries
    runs = [(entry, run) for entry in entries for run in dict.fromkeys(row.record.run for row in entry.rows)]
    count = Counter(run for _, run in runs)
    for entry, run in runs:
        name = run if count[run] == 1 else f"{run}, {entry.label}"
        choices = _choices(entry.select(run=run), split)
        cells += [[name, *line] for choice in choices if (line := _line(choice, draws))]
    return Table(
        "advice",
        "The temperature to use",
        f"Chosen on valid, gained on {split}: a gain improves on T = 1.",
        HEADER,
        sorted(cells, key=lambda line: line[0]),
        whole=False,
    )


def _choices(rows: Sequence[Row], split: str) -> list[Choice]:
    forced, beam = (select(rows, split=split, mode=mode) for mode in ("forced", "beam"))
    best = _best_on_valid(rows)
    choices = (
        ("forced ECE", ECE, "likelihood", forced, at_fitted(forced)),
        ("NLL, nats", NLL, "likelihood", forced, at_fitted(forced)),
        ("beam ECE", ECE, "likelihood", beam, at_fitted(beam)),
        ("BLEU", BLEU, "BLEU", beam, [] if best is None else select(beam, temperature=best)),
    )
    return [Choice(name, q, by, select(all_, temperature=1.0), chosen) for name, q, by, all_, chosen in choices]


def _best_on_valid(rows: Sequence[Row]) -> float | None:
    beam = select(rows, split="valid", mode="beam")
    scores = {row.record.temperature: row.record.bleu["score"] for row in beam if row.record.bleu}
    return max(scores, key=lambda temperature: scores[temperature], default=None)


def _line(choice: Choice, draws: int) -> list[str]:
    quantity, chosen = choice.quantity, choice.chosen
    digits = 2 if quantity is BLEU else 4
    # The even-numbered sentences of a split that chose the temperature do not report.
    half = bool(chosen) and chosen[-1].record.fitted_on == chosen[-1].record.split
    items = slice(int(half), None, 1 + half)
    before = quantity.resampled(choice.at_one[-1], draws, items) if choice.at_one else None
    after = quantity.resampled(chosen[-1], draws, items) if chosen else None
    if before is None:
        return []
    if after is None:
        return [choice.name, "", "", number(before[0], digits), "", "", ""]
    gain = significance.estimate((quantity.better * (after - before))[None])
    low, high = gain.interval()
    return [
        choice.name,
        number(chosen[-1].record.temperature, 2),
        choice.criterion,
        number(before[0], digits),
        number(after[0], digits),
        f"{gain.value:+.{digits}f}",
        f"{low:+.{digits}f} to {high:+.{digits}f}",
    ]
