"""The effect of smoothing 0.1 by number of training pairs, vocabulary and kind of text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from mt_ls.calibration.bins import Bins
from mt_ls.records.items import Items

from ..labels import spaced
from ..quantities import BLEU, ECE, FITTED_TEMPERATURE, NLL, corpus_bleu, number
from ..rows import Row, at_fitted, mean, n_seeds, select
from ..study import LITERARY, Entry, Study
from .layout import Table

HEADER = (
    "pairs",
    "model",
    "seeds",
    "BLEU",
    "with 0.1",
    "NLL",
    "with 0.1 ",
    "at fitted T",
    "with 0.1  ",
    "ECE",
    "with 0.1   ",
    "fitted T",
    "with 0.1    ",
)
OF_KINDS = (
    "pairs",
    "text",
    "sentences",
    "BLEU",
    "with 0.1",
    "NLL",
    "with 0.1 ",
    "ECE",
    "at fitted T",
    "with 0.1  ",
    "beam ECE",
    "with 0.1   ",
)


def table(study: Study) -> Table:
    """A line for each pair of models that differ in smoothing alone: means over training seeds."""
    cells = [
        [
            _size(hard.model.pairs),
            study.shared_label(hard),
            str(min(n_seeds(entry.select(split=study.split, mode="forced")) for entry in (hard, smoothed))),
            *_cells(study, hard, smoothed),
        ]
        for hard, smoothed in study.of_main_search.pairs
        if len(study.sizes) > 1
    ]
    how = (
        "Each column without smoothing, and beside it with smoothing 0.1: BLEU, NLL (nats) and forced ECE at T = 1, "
        f"NLL at the temperature that half of {study.fitted_on} chose, and that temperature."
    )
    return Table("sizes", "Sizes of data", how, HEADER, cells, split=study.split)


def _cells(study: Study, hard: Entry, smoothed: Entry) -> Iterator[str]:
    for quantity, mode, fitted in (
        (BLEU, "beam", False),
        (NLL, "forced", False),
        (NLL, "forced", True),
        (ECE, "forced", False),
        (FITTED_TEMPERATURE, "forced", False),
    ):
        for entry in (hard, smoothed):
            rows = entry.select(split=study.split, mode=mode)
            yield quantity.text(quantity.mean(at_fitted(rows) if fitted else select(rows, temperature=1.0)))


def of_kinds(study: Study) -> Table:
    """A line for each kind of text of the reported split, and for the other domain, of each size of data."""
    cells = [
        [spaced(size), *line]
        for size, (hard, smoothed) in study.by_size.items()
        if len(study.by_size) > 1
        for line in _by_kind(study.of_main_search, hard, smoothed)
    ]
    how = (
        "By kind of text, means over training seeds, at T = 1 without smoothing and with smoothing 0.1: BLEU, NLL in "
        "nats, forced ECE (without smoothing also at the temperature that half of "
        f"{study.fitted_on} chose), and beam ECE. “{LITERARY}” is a test set of another domain."
    )
    return Table("kinds", "Kinds of text", how, OF_KINDS, cells)


def _by_kind(study: Study, hard: Entry, smoothed: Entry) -> Iterator[list[str]]:
    for split in dict.fromkeys((study.split, LITERARY)):
        forced, beam = (
            [entry.select(split=split, mode=mode) for entry in (hard, smoothed)] for mode in ("forced", "beam")
        )
        at_one, searched = ([select(rows, temperature=1.0) for rows in of] for of in (forced, beam))
        if not all(at_one):
            continue
        for kind, places in _places(at_one[0][0]).items():
            yield [
                kind,
                str(places.stop - places.start),
                *(number(_bleu(rows, places), 1) for rows in searched),
                *(number(_nll(rows, places), 3) for rows in at_one),
                *(number(_ece(rows, places), 4) for rows in (at_one[0], at_fitted(forced[0]), at_one[1])),
                *(number(_ece(rows, places), 4) for rows in searched),
            ]


def _places(row: Row) -> dict[str, slice]:
    """The sentences of each kind of text of a split, which is its own kind where it has no parts."""
    record = row.record
    parts = record.parts or {record.split: record.n_sentences}
    ends = np.cumsum([*parts.values()]).tolist()
    return {kind: slice(end - n, end) for (kind, n), end in zip(parts.items(), ends, strict=True)}


def _mean(rows: Sequence[Row], of_items: Callable[[Items], float | None]) -> float | None:
    """The mean over runs of a number of their items; None where they were not kept."""
    return mean(None if row.items is None else of_items(row.items) for row in rows)


def _ece(rows: Sequence[Row], places: slice) -> float | None:
    return _mean(rows, lambda of: None if of.bins is None else Bins.from_sums(of.bins[places].sum(axis=0)).ece())


def _nll(rows: Sequence[Row], places: slice) -> float | None:
    return _mean(rows, lambda of: None if of.nll is None else float(of.nll[places].sum() / of.n[places].sum()))


def _bleu(rows: Sequence[Row], places: slice) -> float | None:
    return _mean(rows, lambda of: None if of.bleu is None else corpus_bleu(of.bleu[places]))


def _size(pairs: int | None) -> str:
    return "" if pairs is None else spaced(pairs)
