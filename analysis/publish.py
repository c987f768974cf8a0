"""python -m analysis.publish RUNS... --out recipes/NAME/published: records of finished runs, and what intervals need.

The folder gets ``records.jsonl`` and ``items.parquet``. Of each sentence or image it keeps:

- on the reported splits, in forced mode: the NLL at every temperature, the bins at T = 1, at the fitted temperature and
  at those that were searched;
- on the reported splits, in beam mode: what BLEU counts and the hypothesis; of the search that was measured at the most
  temperatures, the bins at T = 1 and the fitted temperature;
- on the reported splits, of images: the bins at T = 1 and the fitted temperature;
- on the others, in forced mode: NLL and bins at T = 1 and the fitted temperature; where there are scores of confidence,
  these with chrF, or with the bins of images.

Reported are all splits but train and those on which temperatures were fitted (valid where none was).

With --compact, for a grid of many runs: on the reported splits, at T = 1 and the fitted temperature, NLL, bins and what
BLEU counts; no other items.

Points of activations are kept of the least training seed, which the figures draw. Sums of confidence are rounded to
2^-14. Values of each token stay in the run folder, and so do the equal-mass bins of other temperatures. Both files are
replaced whole; name the folder among the inputs too to add to it.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from mt_ls.records import Record, RecordError, written_whole
from mt_ls.records.items import PUBLISHED, Items, write_items
from mt_ls.terminal import prepare

from .rows import Row, load, main_search, select

_STEP = 2.0**-14


def main(arguments: list[str] | None = None) -> int:
    """Publish; 0, or 2 with one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m analysis.publish", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("records", nargs="+", help="records files, or folders that hold them")
    parser.add_argument("--out", type=Path, required=True, help="the recipe's folder of published evidence")
    parser.add_argument(
        "--compact", action="store_true", help="keep no hypotheses, and items of two temperatures alone"
    )
    options = parser.parse_args(arguments)
    try:
        rows = load(options.records)
        publish(rows, options.out, options.compact)
    except (RecordError, OSError) as error:
        print(f"analysis.publish: error: {error}", file=sys.stderr)
        return 2
    print(f"{len(rows)} records published in {options.out}")
    return 0


def publish(rows: Sequence[Row], out: Path, compact: bool = False) -> None:
    """Write the records and their items. Raises RecordError for a record whose code is in no commit, or whose items are
    damaged, and where ``out`` is the folder of a run, whose records would lose what is not published."""
    for row in rows:
        if row.record.items not in (None, PUBLISHED) and row.folder.resolve() == out.resolve():
            raise RecordError(f"{out}: the folder of run {row.record.run}: publish in another one")
        if row.record.sha["code"].endswith("+dirty"):
            raise RecordError(f"{row.record.signature}: measured with uncommitted code; commit and measure again")
    main = {id(row) for row in main_search(rows)}
    fitted_on = {row.record.fitted_on for row in rows if row.record.fitted_on}
    not_reported = (fitted_on or {"valid"}) | {"train"}
    searched = {_place(row.record) for row in select(rows, mode="beam") if row.record.split not in not_reported}
    drawn_seed = min((row.record.seed for row in rows if row.record.seed is not None), default=None)
    kept: dict[str, Items] = {}
    records = []
    for row in sorted(rows, key=_order):
        is_reported = row.record.split not in not_reported
        items = _kept(row, is_reported, id(row) in main, _place(row.record) in searched)
        if compact:
            items = _without_texts(items) if items and is_reported and _is_chosen(row.record) else None
        if items is not None:
            kept[row.record.name] = items
        records.append(_trimmed(row.record, items is not None, drawn_seed))
    if kept:
        write_items(out / PUBLISHED, kept)
    else:
        (out / PUBLISHED).unlink(missing_ok=True)
    with written_whole(out / "records.jsonl") as path:
        path.write_text("".join(record.to_json() + "\n" for record in records), encoding="utf-8")


def _trimmed(record: Record, has_items: bool, drawn_seed: int | None) -> Record:
    """The record without what stays in the run folder."""
    equal_mass = record.bins_equal_mass if _is_chosen(record) else None
    geometry = record.geometry
    if geometry and geometry.get("planes") and record.seed != drawn_seed:
        geometry = {**geometry, "planes": []}
    items = PUBLISHED if has_items else None
    return msgspec.structs.replace(record, items=items, bins_equal_mass=equal_mass, geometry=geometry)


def _is_chosen(record: Record) -> bool:
    return record.temperature in (1.0, record.fitted_temperature)


def _kept(row: Row, is_reported: bool, is_of_main_search: bool, is_searched: bool) -> Items | None:
    """The published part of a record's items; None if there is none."""
    record, items = row.record, row.items
    chosen = _is_chosen(record)
    if items is None or not (is_reported or chosen) or (record.mode == "images" and not chosen):
        return None
    if record.mode != "forced" and not is_reported:  # the scores there choose a norm
        bins = items.bins if record.mode == "images" else None
        return None if items.scores is None else Items(items.n, bins=bins, scores=items.scores, chrf=items.chrf)
    wants_bins = chosen and is_of_main_search
    if record.mode == "forced" and is_reported and not chosen:
        wants_bins = is_searched
    nll = None if record.mode == "images" else items.nll
    bins = _rounded(items.bins) if wants_bins and items.bins is not None else None
    return dataclasses.replace(items, nll=nll, bins=bins)


def _without_texts(items: Items) -> Items:
    return dataclasses.replace(items, text=None, scores=None, chrf=None)


def _place(record: Record) -> tuple[str, float]:
    """The run and the temperature, which is equal to 1e-6 as in `rows.select`."""
    return record.run, round(record.temperature, 6)


def _rounded(bins: np.ndarray) -> np.ndarray:
    """The sums (N, 3, B) with those of confidence as multiples of 2^-14, whose low bits a file can compress."""
    bins = bins.copy()
    bins[:, 1] = np.round(bins[:, 1] / _STEP) * _STEP
    return bins


def _order(row: Row) -> tuple[str, str, str, int, float, int]:
    record = row.record
    return record.run, record.split, record.mode, record.beam or 0, record.temperature, record.updates or 0


if __name__ == "__main__":
    prepare("analysis.publish")
    sys.exit(main())
