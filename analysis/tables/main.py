"""The main table of translation: BLEU, likelihood and calibration of each model, at T = 1 and at its fitted T."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..quantities import ACCURACY, BLEU, ECE, NLL, PERPLEXITY, number
from ..rows import Row, at_fitted, main_search, mean, n_seeds, select
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


def table(study: Study, split: str = "test", seed: int = 1) -> Table:
    """A line for each model at T = 1 and at the fitted temperature: means over training seeds, NLL in nats a token."""
    rng = np.random.default_rng(seed)
    cells = []
    for entry in study.with_rows(main_search(study.rows)).entries:
        rows = entry.select(split=split)
        for chosen, label in ((select(rows, temperature=1.0), "1"), (at_fitted(rows), None)):
            cells.append(_line(entry, chosen, label, rng))
    return Table(
        "main",
        f"Main table ({split})",
        "Temperatures are fitted on valid. Forced ECE: teacher forced, 15 equal-width bins; “95 %” counts sentences "
        "and training seeds; “floor” is the ECE of a perfectly calibrated model. Beam ECE is another quantity: the "
        "probability of generated tokens, which are hits by TER alignment.",
        HEADER,
        [line for line in cells if line[1] == "1" or line[2] != "0"],
    )


def _line(entry: Entry, rows: Sequence[Row], label: str | None, rng: np.random.Generator) -> list[str]:
    forced, beam = select(rows, mode="forced"), select(rows, mode="beam")
    bounds = ECE.interval(forced)
    floor = forced[0].record.bins.noise_floor(rng)[0] if forced else None
    return [
        entry.label,
        label or number(mean(row.record.temperature for row in forced or beam), 2),
        str(n_seeds(rows)),
        BLEU.text(BLEU.mean(beam)),
        NLL.text(NLL.mean(forced)),
        PERPLEXITY.text(PERPLEXITY.mean(forced)),
        ACCURACY.text(ACCURACY.mean(forced)),
        ECE.text(ECE.mean(forced)),
        f"{bounds[0]:.4f}-{bounds[1]:.4f}" if bounds else "",
        number(floor, 4),
        ECE.text(ECE.mean(beam)),
    ]
