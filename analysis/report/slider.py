"""The data of the report's slider: reliability, ECE, NLL and BLEU of a few models at each temperature."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from ..figures import colours, layout, reliability
from ..quantities import BLEU, ECE, NLL, Quantity
from ..rows import Row, select
from ..study import Entry, Study

Values = dict[str, Any]


def data(parts: Sequence[Study]) -> dict[str, Any]:
    """{"temperatures": [...], "columns": [{"quantity", "name", "digits"}], "models": [{"name", "colour", "marker",
    "at": [values at each temperature or None]}]}. Colours are those of CSS, markers those of matplotlib.

    ``parts`` are a study on each split that it reports. By model it shows a model without smoothing and its smoothed
    one; by run, every run. A temperature counts where all runs of a model were measured; bins and numbers are means
    over training seeds.
    """
    shown = [entry for part in parts for entry in _named(part, len(parts) > 1)]
    measured = [at for part in parts for at in _of_split(part)]
    temperatures = sorted({temperature for at in measured for temperature in at})
    looks = layout.looks(shown, parts[0].by)
    return {
        "temperatures": temperatures,
        "columns": [
            {"quantity": quantity.name, "name": name, "digits": quantity.digits}
            for quantity, name in _columns(parts[0])
        ],
        "models": [
            {
                "name": entry.label,
                "colour": colours.in_page(looks[entry.label].colour),
                "marker": looks[entry.label].marker,
                "at": [at.get(t) for t in temperatures],
            }
            for entry, at in zip(shown, measured, strict=True)
        ],
    }


def _named(part: Study, with_split: bool) -> list[Entry]:
    """The shown models of a part, labelled as the page names them."""
    study = part.of_main_search
    entries = _shown(study)
    # A network is part of its name, even where the amounts of smoothing would do.
    names = {entry.label: entry.label.replace("alpha ", "α = ") for entry in entries}
    if not part.is_of_images:
        names = layout.names(study.entries, part.by)
    end = f", {part.split}" if with_split else ""
    return [dataclasses.replace(entry, label=f"{names[entry.label]}{end}") for entry in entries]


def _of_split(part: Study) -> list[dict[float, Values]]:
    """The values of the shown models of a part at each temperature."""
    study = part.of_main_search
    return [_by_temperature(study, entry) for entry in _shown(study)]


def _shown(study: Study) -> list[Entry]:
    """Every run; or of the last network that is compared (a ResNet, before an MLP and an AlexNet) the two models."""
    if study.by == "run":
        return study.entries
    measured = [entry for entry in study.untaught if entry.select(mode=study.forced_mode)]
    pairs = [pair for pair in study.pairs if all(entry in measured for entry in pair)]
    return list(pairs[-1]) if pairs else measured[:2]


def _columns(study: Study) -> list[tuple[Quantity, str]]:
    if study.is_of_images:
        return [(ECE, "ECE"), (NLL, "NLL, nats")]
    return [(ECE, "forced ECE"), (NLL, "NLL, nats"), (BLEU, "BLEU")]


def _by_temperature(study: Study, entry: Entry) -> dict[float, Values]:
    forced, beam = (entry.select(split=study.split, mode=mode) for mode in (study.forced_mode, "beam"))
    n_runs = len({row.record.run for row in forced})
    values = {}
    for temperature in {row.record.temperature for row in forced}:
        here = select(forced, temperature=temperature)
        if len({row.record.run for row in here}) == n_runs:
            values[temperature] = _values(here, select(beam, temperature=temperature))
    return values


def _values(forced: Sequence[Row], beam: Sequence[Row]) -> Values:
    bins = reliability.means(forced)
    return {
        "confidence": bins.confidence.tolist(),
        "accuracy": bins.accuracy.tolist(),
        "count": bins.counts.tolist(),
        "ece": ECE.mean(forced),
        "nll": NLL.mean(forced),
        "bleu": BLEU.mean(beam) if len(beam) == len(forced) else None,
    }


def embedded(measured: dict[str, Any]) -> str:
    """JSON that no text in it can end as a script element."""
    return json.dumps(measured, ensure_ascii=True).replace("<", "\\u003c")
