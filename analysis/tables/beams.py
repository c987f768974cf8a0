"""BLEU and length against the width of the beam, at T = 1."""

from __future__ import annotations

from ..quantities import BLEU, LENGTH_RATIO
from ..rows import n_seeds, select
from ..study import Study
from .layout import Table

HEADER = ("model", "beam", "length penalty", "seeds", "BLEU", "length")


def table(study: Study) -> Table:
    """A line for each model and float32 search, means over training seeds. No line where there was one search only."""
    wanted = {"mode": "beam", "split": study.split, "temperature": 1.0, "search_precision": None}
    searched = select(study.rows, **wanted)
    searches = sorted({(row.record.beam or 0, row.record.lenpen or 0.0) for row in searched})
    cells = []
    for entry in study.entries if len(searches) > 1 else []:
        for beam, lenpen in searches:
            rows = entry.select(**wanted, beam=beam, lenpen=lenpen)
            if rows:
                cells.append(
                    [
                        entry.label,
                        str(beam),
                        f"{lenpen:g}",
                        str(n_seeds(rows)),
                        BLEU.text(BLEU.mean(rows)),
                        LENGTH_RATIO.text(LENGTH_RATIO.mean(rows)),
                    ]
                )
    return Table(
        "beams",
        "Width of the beam at T = 1",
        "Length: of the hypotheses in parts of the references'. Means over seeds. Smoothing is said to make the "
        "hypotheses of wide beams shorter (Liang et al. 2022).",
        HEADER,
        cells,
        split=study.split,
    )
