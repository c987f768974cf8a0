"""The main table of translation: BLEU, likelihood and calibration of each model, at T = 1 and at its fitted T."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..quantities import ACCURACY, BLEU, CONFIDENCE, ECE, NLL, PERPLEXITY, number
from ..rows import Row, at_fitted, mean, n_seeds, select
from ..study import Entry, Study
from .layout import Table

HEADER = (
    "model",
    "T",
    "seeds",
    "BLEU",
    "NLL",
    "perplexity",
    "accuracy",
    "forced ECE",
    "95 %",
    "floor",
    "beam ECE",
)
OF_SEARCHES = ("model", "T", "BLEU", "95 % of BLEU", "confidence", "accuracy", "beam ECE", "95 %", "floor")
"""The columns where only searches were measured, as of translations without their models."""

_HOW = (
    "Forced ECE: teacher forced, 15 equal-width bins; “95 %” counts sentences and training seeds; “floor” is the ECE "
    "of a perfectly calibrated model. Beam ECE is another quantity: the probability of generated tokens, which are "
    "hits by TER alignment."
)
_HOW_OF_SEARCHES = (
    "Beam ECE: the probability of generated tokens, which are hits by TER alignment, in 15 equal-width bins; “95 %” "
    "counts sentences; “floor” is the ECE of a perfectly calibrated system."
)


def table(study: Study, seed: int = 1) -> Table:
    """A line for each model at T = 1 and at the fitted temperature: means over training seeds, NLL in nats a token."""
    rng = np.random.default_rng(seed)
    of_searches = study.main_mode == "beam"
    line = _line_of_searches if of_searches else _line
    cells = []
    for entry in study.of_main_search.entries:
        rows = entry.select(split=study.split)
        for chosen, label in ((select(rows, temperature=1.0), "1"), (at_fitted(rows), "")):
            if chosen or label:
                cells.append(line(entry, chosen, label, rng))
    fitted = f"Temperatures are fitted on half of {study.fitted_on}. " if study.fitted_on else ""
    how = _HOW_OF_SEARCHES if of_searches else f"{fitted}{_HOW}"
    return Table("main", "Main table", how, OF_SEARCHES if of_searches else HEADER, cells, split=study.split)


def _line(entry: Entry, rows: Sequence[Row], label: str, rng: np.random.Generator) -> list[str]:
    forced, beam = select(rows, mode="forced"), select(rows, mode="beam")
    return [
        entry.label,
        label or _temperature(forced or beam),
        str(n_seeds(rows)),
        BLEU.text(BLEU.mean(beam)),
        NLL.text(NLL.mean(forced)),
        PERPLEXITY.text(PERPLEXITY.mean(forced)),
        ACCURACY.text(ACCURACY.mean(forced)),
        ECE.text(ECE.mean(forced)),
        _interval(ECE.interval(forced), 4),
        _floor(forced, rng),
        ECE.text(ECE.mean(beam)),
    ]


def _line_of_searches(entry: Entry, rows: Sequence[Row], label: str, rng: np.random.Generator) -> list[str]:
    beam = select(rows, mode="beam")
    return [
        entry.label,
        label or _temperature(beam),
        BLEU.text(BLEU.mean(beam)),
        _interval(BLEU.interval(beam), 1),
        CONFIDENCE.text(CONFIDENCE.mean(beam)),
        ACCURACY.text(ACCURACY.mean(beam)),
        ECE.text(ECE.mean(beam)),
        _interval(ECE.interval(beam), 4),
        _floor(beam, rng),
    ]


def _temperature(rows: Sequence[Row]) -> str:
    return number(mean(row.record.temperature for row in rows), 2)


def _interval(bounds: tuple[float, float] | None, digits: int) -> str:
    return f"{bounds[0]:.{digits}f}-{bounds[1]:.{digits}f}" if bounds else ""


def _floor(rows: Sequence[Row], rng: np.random.Generator) -> str:
    return number(rows[0].record.bins.noise_floor(rng)[0] if rows else None, 4)
