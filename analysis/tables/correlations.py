"""How calibration and likelihood go with BLEU, over all models, seeds and temperatures."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .. import significance
from ..quantities import BLEU, ECE, NLL, PERPLEXITY, Quantity
from ..rows import Row, select
from ..study import Study
from .layout import Table

LEAST_RUNS = 5
"""Runs below which there is no interval: two runs have three resamples."""
HEADER = ("quantity", "cells", "runs", "Pearson", "95 %", "Spearman", "95 %")
QUANTITIES: tuple[tuple[str, str, Quantity], ...] = (
    ("forced ECE", "forced", ECE),
    ("beam ECE", "beam", ECE),
    ("NLL", "forced", NLL),
    ("perplexity", "forced", PERPLEXITY),
)
"""(name, mode, quantity) of each line."""


class Correlation(NamedTuple):
    """A correlation coefficient and its 95 % interval."""

    value: float
    low: float
    high: float


def table(study: Study, draws: int = significance.DRAWS) -> Table:
    """Lines of each quantity: its correlations with BLEU over the cells, the pairs of a run and a temperature.

    A cell has a forced record and one of the main search. No line where there are fewer than two runs or three cells.
    """
    cells = []
    for name, mode, quantity in QUANTITIES:
        x, y, run = _cells(study, mode, quantity)
        n_runs = len(np.unique(run))
        if n_runs >= 2 and len(x) >= 3:
            of_both = [_text(correlation, n_runs) for correlation in correlations(x, y, run, draws)]
            cells.append([name, str(len(x)), str(n_runs), *(text for pair in of_both for text in pair)])
    return Table(
        "correlations",
        "What goes with BLEU",
        "Correlations with BLEU over cells: every model, seed and temperature of the main search. The 95 % intervals "
        "are of a cluster bootstrap, which resamples whole runs, since the cells of one run are alike; there are none "
        f"for fewer than {LEAST_RUNS} runs.",
        HEADER,
        cells,
        whole=False,
        split=study.split,
    )


def correlations(x: np.ndarray, y: np.ndarray, run: np.ndarray, draws: int) -> tuple[Correlation, Correlation]:
    """Pearson's and Spearman's coefficients of ``x`` and ``y``, (cells,), with intervals over ``run`` (cells,).

    Each resample draws as many runs as there are, with replacement, and takes all cells of each. Those without a
    coefficient, where all values are equal, are left out of the interval.
    """
    _, cluster = np.unique(run, return_inverse=True)
    weights = significance.resamples(int(cluster.max()) + 1, draws)[:, cluster]
    return _estimate(_pearson(x, y, weights)), _estimate(_pearson(_ranks(x, weights), _ranks(y, weights), weights))


def _pearson(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Pearson's coefficient (draws,) where each cell counts ``weights`` (draws, cells) times; NaN where it has none."""
    n = weights.sum(axis=1, keepdims=True)
    x, y = (values - (weights * values).sum(axis=1, keepdims=True) / n for values in (x, y))
    spread = np.sqrt((weights * x * x).sum(axis=1) * (weights * y * y).sum(axis=1))
    product = (weights * x * y).sum(axis=1)
    return np.divide(product, spread, out=np.full_like(spread, np.nan), where=spread > 1e-12)


def _ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The ranks (draws, cells) of ``values`` (cells,) among so many copies of each; equal values share their mean."""
    below = (values[:, None] < values) + 0.5 * (values[:, None] == values)
    return weights @ below + 0.5


def _estimate(vector: np.ndarray) -> Correlation:
    low, high = np.nanquantile(vector[1:], [0.025, 0.975])
    return Correlation(float(vector[0]), float(low), float(high))


def _text(correlation: Correlation, n_runs: int) -> tuple[str, str]:
    if not np.isfinite(correlation).all():
        return "", ""
    interval = f"{correlation.low:+.2f} to {correlation.high:+.2f}" if n_runs >= LEAST_RUNS else ""
    return f"{correlation.value:+.2f}", interval


def _cells(study: Study, mode: str, quantity: Quantity) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The quantity, BLEU and the run's name of each cell that has both."""
    rows = select(study.of_main_search.rows, split=study.split)
    beam = {_place(row): BLEU.of_record(row.record) for row in select(rows, mode="beam")}
    forced = {_place(row) for row in select(rows, mode="forced")}
    known = [
        (value, beam[_place(row)], row.record.run)
        for row in select(rows, mode=mode)
        if _place(row) in forced
        and beam.get(_place(row)) is not None
        and (value := quantity.of_record(row.record)) is not None
    ]
    columns = zip(*known, strict=True) if known else ((), (), ())
    x, y, run = (np.array(column) for column in columns)
    return x, y, run


def _place(row: Row) -> tuple[str, float]:
    return row.record.run, round(row.record.temperature, 6)
