"""Gains of another temperature than 1 for each run, with their intervals (see `analysis.advice`)."""

from __future__ import annotations

from collections import Counter

from .. import significance
from ..advice import Change, changes
from ..quantities import BLEU, number
from ..study import Study
from .layout import Table

HEADER = ("model", "quantity", "temperature", "chosen by", "at T = 1", "at that T", "gain", "95 %")


def table(study: Study, draws: int = significance.DRAWS) -> Table:
    """Lines of each run: ECE, NLL and BLEU at the temperature of greatest likelihood, BLEU at that of best BLEU.

    A gain is an improvement; its interval is over resamples of the sentences. Of a run without another temperature
    there is only the value, and no line where none has one. What was not measured at T = 1 has no line.
    """
    entries = study.of_main_search.entries
    runs = [(entry, run) for entry in entries for run in dict.fromkeys(row.record.run for row in entry.rows)]
    count = Counter(run for _, run in runs)
    measured = [
        (run if count[run] == 1 else f"{run}, {entry.label}", change)
        for entry, run in runs
        for change in changes(entry.select(run=run), study.split, draws)
    ]
    cells = [[name, *_line(change)] for name, change in measured] if any(change.gain for _, change in measured) else []
    return Table(
        "temperatures",
        "What a temperature gains",
        f"Chosen on {study.fitted_on or 'no split'}. A gain improves on T = 1; its interval counts sentences, and "
        "that of an ECE leaves out the bias of small samples.",
        HEADER,
        sorted(cells, key=lambda line: line[0]),
        whole=False,
        split=study.split,
    )


def _line(change: Change) -> list[str]:
    digits = 2 if change.quantity is BLEU else 4
    if change.gain is None:
        return [change.name, "", "", number(change.before, digits), "", "", ""]
    low, high = change.gain.interval()
    return [
        change.name,
        number(change.temperature, 2),
        change.criterion,
        number(change.before, digits),
        number(change.after, digits),
        f"{change.gain.value:+.{digits}f}",
        f"{low:+.{digits}f} to {high:+.{digits}f}",
    ]
