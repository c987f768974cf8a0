"""What smoothing 0.1 does by number of training pairs, vocabulary and kind of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mt_ls.calibration.bins import Bins

from ..quantities import BLEU, ECE, FITTED_TEMPERATURE, NLL, number
from ..rows import Row, at_fitted, mean, n_seeds, select
from ..study import Entry, Study
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
OF_KINDS = ("pairs", "text", "sentences", "NLL", "with 0.1", "ECE", "at fitted T", "with 0.1 ")
_OTHER_DOMAIN = "literary"


class _Part(NamedTuple):
    """NLL in nats a token, and ECE; None where items were not kept."""

    nll: float | None
    ece: float | None


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
        [_size(hard.model.pairs), *line]
        for hard, smoothed in study.pairs
        if len(study.sizes) > 1
        for line in _by_kind(study, hard, smoothed)
    ]
    how = (
        "Forced mode by kind of text, means over training seeds: NLL in nats and ECE without smoothing, ECE without "
        f"smoothing at the temperature that half of {study.fitted_on} chose, and with smoothing 0.1 at T = 1. "
        f"“{_OTHER_DOMAIN}” is a test set of another domain."
    )
    return Table("kinds", "Kinds of text", how, OF_KINDS, cells)


def _by_kind(study: Study, hard: Entry, smoothed: Entry) -> Iterator[list[str]]:
    for split in dict.fromkeys((study.split, _OTHER_DOMAIN)):
        rows, others = (entry.select(split=split, mode="forced") for entry in (hard, smoothed))
        columns = [select(rows, temperature=1.0), at_fitted(rows), select(others, temperature=1.0)]
        if not all(columns):
            continue
        for kind, places in _places(columns[0][0]).items():
            of_hard, at_fitted_t, of_smoothed = (_of_part(column, places) for column in columns)
            nlls = [number(part.nll, 3) for part in (of_hard, of_smoothed)]
            eces = [number(part.ece, 4) for part in (of_hard, at_fitted_t, of_smoothed)]
            yield [kind, str(places.stop - places.start), *nlls, *eces]


def _places(row: Row) -> dict[str, slice]:
    """The sentences of each kind of text of a split, which is its own kind where it has no parts."""
    record = row.record
    parts = record.parts or {record.split: record.n_sentences}
    ends = np.cumsum([*parts.values()]).tolist()
    return {kind: slice(end - n, end) for (kind, n), end in zip(parts.items(), ends, strict=True)}


def _of_part(rows: Sequence[Row], places: slice) -> _Part:
    """The means over runs on some of the sentences."""
    nlls, eces = [], []
    for row in rows:
        items = row.items
        if items is None or items.bins is None or items.nll is None:
            return _Part(None, None)
        bins = Bins.from_sums(items.bins[places].sum(axis=0))
        nlls.append(float(items.nll[places].sum() / items.n[places].sum()))
        eces.append(bins.ece())
    return _Part(mean(nlls), mean(eces))


def _size(pairs: int | None) -> str:
    return "" if pairs is None else f"{pairs:,}".replace(",", " ")
