"""The temperature to use for each model, chosen on valid, and what it gains on test, with its interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from . import significance
from .table import Row, at_fitted, main_search, number, select

HEADER = ("model", "quantity", "temperature", "chosen on valid by", "at T = 1", "at that T", "gain", "95 %")
_ARRAYS = {"ece": ("sentence_bins",), "nll": ("sentence_nll", "sentence_bins"), "bleu": ("sentence_bleu",)}


def lines(rows: Sequence[Row], draws: int = 2000) -> list[list[str]]:
    """For each run: ECE and NLL at the temperature of greatest likelihood, BLEU at that of best BLEU. A gain is an
    improvement; its interval is that of one model over resamples of the test sentences. A run without the records of
    a line has none."""
    rows = main_search(rows)
    found = []
    for run in sorted({row.record.run for row in rows}):
        ours = select(rows, run=run)
        test = select(ours, split="test")
        for mode, name, quantity in (("forced", "forced ECE", "ece"), ("forced", "NLL, nats", "nll"),
                                     ("beam", "beam ECE", "ece")):  # fmt: skip
            scaled = at_fitted(select(test, mode=mode))
            found += _line(run, name, quantity, "likelihood", select(test, mode=mode, temperature=1.0), scaled, draws)
        searched = {row.record.temperature: row.record.bleu["score"]
                    for row in select(ours, split="valid", mode="beam") if row.record.bleu}  # fmt: skip
        if searched:
            best = max(searched, key=lambda t: searched[t])
            at_one, there = (select(test, mode="beam", temperature=t) for t in (1.0, best))
            found += _line(run, "BLEU", "bleu", "BLEU", at_one, there, draws)
    return found


def _line(
    run: str, name: str, quantity: str, chosen_by: str, at_one: list[Row], there: list[Row], draws: int
) -> list[list[str]]:
    if not (at_one and there):
        return []
    names = _ARRAYS[quantity]
    known = [array for row in (at_one[-1], there[-1]) for name in names if (array := row.array(name)) is not None]
    if len(known) < 2 * len(names):
        return []
    if there[-1].record.fitted_on == there[-1].record.split:  # the even-numbered sentences chose the temperature
        known = [array[1::2] for array in known]
    weights = significance.resamples(len(known[0]), draws, np.random.default_rng(1))
    measure = getattr(significance, quantity)
    before, after = measure(*known[: len(names)], weights), measure(*known[len(names) :], weights)
    gained = significance.estimate((after - before if quantity == "bleu" else before - after)[None])
    low, high = gained.interval()
    digits = 2 if quantity == "bleu" else 4
    values = (number(value, digits) for value in (before[0], after[0]))
    spread = f"{low:+.{digits}f} to {high:+.{digits}f}"
    temperature = number(there[-1].record.temperature, 2)
    return [[run, name, temperature, chosen_by, *values, f"{gained.value:+.{digits}f}", spread]]
