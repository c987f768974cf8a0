"""The records that a measurement adds to a file, and their measuring."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from msgspec.structs import replace

from ..calibration.bins import Bins
from ..calibration.temperature import GREATEST, LEAST, check_temperature
from ..records import Record, read, versions, written_whole
from .activations import measure_activations
from .beam import measure_beam
from .forced import ForcedPass, measure_forced
from .paths import check_split
from .protocol import MeasureError, TranslationModel
from .references import References
from .search import exact_search
from .workers import ALONE, Workers

Mode = Literal["forced", "beam"]


@dataclass(frozen=True)
class Plan:
    """The wanted records of a model on ``split``. Raises ValueError or MeasureError for what no measurement can want.

    T = 1 is always measured, and so is the temperature fitted on half of ``fit_split`` (None: no temperature is
    fitted). ``own_search`` keeps the beam search to that of the model, and so does ``search_precision``, "fp16" or
    "bf16": it searches in half precision. With ``pieces``, three target tokens, the record of mode "activations" is the
    only one wanted.
    """

    split: str = "test"
    temperatures: tuple[float, ...] = (1.0,)
    modes: tuple[Mode, ...] = ("forced", "beam")
    fit_split: str | None = "valid"
    beam: int = 5
    lenpen: float = 1.0
    own_search: bool = False
    search_precision: str | None = None
    pieces: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for temperature in self.temperatures:
            check_temperature(temperature)
            if not LEAST <= temperature <= GREATEST:
                raise ValueError(f"a temperature must lie between {LEAST:g} and {GREATEST:g}, not at {temperature:g}")
        for split in self.splits:
            check_split(split)
        if self.beam < 1:
            raise ValueError(f"a beam keeps at least 1 hypothesis, not {self.beam}")
        if not math.isfinite(self.lenpen):
            raise ValueError(f"a length penalty must be finite, not {self.lenpen}")

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that the measurement reads, each once."""
        fit = () if self.fit_split is None or self.pieces else (self.fit_split,)
        return tuple(dict.fromkeys((*fit, self.split)))


def measure(
    model: TranslationModel, plan: Plan, records: Path, workers: Workers = ALONE, pool: Executor | None = None
) -> None:
    """Append the wanted records that ``records`` does not hold yet. Every worker calls this; the first one writes.

    ``pool`` are processes that score translations while the model searches (see `References`).

    Raises MeasureError as `check` does, and where ``records`` holds these weights under another name of the run;
    RecordError for a records file that cannot be read.
    """
    check(model, plan)
    known = read(records) if records.exists() else []
    done = {record.key for record in known}
    blank = blank_record(model, plan.split)
    _check_run(blank, known, records)
    if plan.pieces:
        planned = replace(blank, mode="activations")
        if planned.key not in done and workers.is_first:
            measure_activations(model, planned, plan.pieces, records)
        return
    forced = ForcedPass(model, plan.split, workers)
    if plan.fit_split is not None:
        split, sha = plan.fit_split, blank.sha
        fitted = workers.from_first(lambda: _fitted_temperature(model, forced, split, sha, records))
        blank = replace(blank, fitted_temperature=fitted, fitted_on=split)
    missing = [record for record in _wanted(plan, blank, model.searches_at_temperatures) if record.key not in done]
    of_forced = [record for record in missing if record.mode == "forced"]
    of_beam = [record for record in missing if record.mode == "beam"]
    if of_forced:
        measure_forced(forced, of_forced, records)
    if of_beam:
        _measure_searches(model, plan, of_beam, records, workers, pool)


def check(model: TranslationModel, plan: Plan) -> None:
    """Raise MeasureError where the model or its data do not allow the plan: before anything is measured.

    So for a split that is missing or empty, a sentence that is too long, references of another number, and a beam that
    is not below the vocabulary's size.
    """
    for split in plan.splits:
        if not model.n_sentences(split):
            raise MeasureError(f"the split {split!r} has no sentence")
        model.batches(split, range(1))
    if "beam" in plan.modes and not plan.pieces:
        if plan.beam >= model.n_classes:
            raise MeasureError(f"a beam of {plan.beam} needs a vocabulary of more than {model.n_classes} tokens")
        model.references(plan.split)


def _check_run(blank: Record, known: Sequence[Record], records: Path) -> None:
    """Raise MeasureError for weights that the file holds as another run: a copy would add to the original's records."""
    for record in known:
        if record.sha["checkpoint"] == blank.sha["checkpoint"] and record.run != blank.run:
            raise MeasureError(
                f"{records} holds records of the same weights as run {record.run}, and this run is {blank.run}: name "
                f"it with --run {record.run}, or name another file of records"
            )


def blank_record(model: TranslationModel, split: str) -> Record:
    """A record of mode "forced" of the model on the split, without measured numbers."""
    n = model.n_sentences(split)
    provenance = model.provenance(split)
    return Record(
        **{field.name: getattr(provenance, field.name) for field in dataclasses.fields(provenance)},
        mode="forced",
        split=split,
        temperature=1.0,
        bins=Bins.zeros(),
        n_tokens=0,
        n_sentences=n,
        n_sentences_in_set=n,
    )


def _wanted(plan: Plan, blank: Record, searches_at_temperatures: bool) -> list[Record]:
    """The wanted records of the modes "forced" and "beam", without measured numbers."""
    fitted = set() if blank.fitted_temperature is None else {blank.fitted_temperature}
    # A record's name has four digits of its temperature.
    temperatures = sorted({*(round(temperature, 4) for temperature in plan.temperatures), 1.0} | fitted)
    searched = {"beam": plan.beam, "lenpen": plan.lenpen, "search_precision": plan.search_precision}
    modes = {"forced": blank, "beam": replace(blank, mode="beam", **searched)}
    of_mode = {"forced": temperatures, "beam": temperatures if searches_at_temperatures else [1.0]}
    return [replace(modes[mode], temperature=t) for mode in modes if mode in plan.modes for t in of_mode[mode]]


def _measure_searches(
    model: TranslationModel,
    plan: Plan,
    planned: Sequence[Record],
    records: Path,
    workers: Workers,
    pool: Executor | None,
) -> None:
    if plan.own_search or plan.search_precision:
        search, reason = model.search(plan.beam, plan.lenpen, plan.search_precision), None
    else:
        search, reason = exact_search(model, plan.split, plan.beam, plan.lenpen, workers)
    if reason and workers.is_first:
        print(f"mt_ls.measure: beam search by {search.name}: {reason}", file=sys.stderr)
    references = References(model, plan.split, pool)
    planned = [replace(record, versions=record.versions | versions(search.name)) for record in planned]
    for group in [planned] if search.at_once else [[record] for record in planned]:
        measure_beam(model, search, references, group, records, workers)


def _fitted_temperature(
    model: TranslationModel, forced: ForcedPass, split: str, sha: dict[str, str], records: Path
) -> float:
    """The temperature fitted on a split. It is kept beside the records: a resumed run does not fit again."""
    file = records.with_name("fitted_temperature.json")
    key = f"{sha['checkpoint'][:16]}-{sha['data'][:16]}-{split}-even"
    try:
        known = json.loads(file.read_text()) if file.exists() else {}
        if not all(isinstance(value, float) and value > 0 for value in known.values()):
            raise ValueError("a value is no temperature")
    except (ValueError, AttributeError) as error:
        raise MeasureError(f"{file}: not fitted temperatures ({error}): delete it, and they are fitted again") from None
    if key not in known:
        reused = split == forced.split and forced.workers.n == 1
        known[key] = round((forced if reused else ForcedPass(model, split)).fit_temperature(), 4)
        with written_whole(file) as path:
            path.write_text(json.dumps(known, indent=1) + "\n")
    return known[key]
