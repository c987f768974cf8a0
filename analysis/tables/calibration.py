"""ECE of image classifiers beside the paper's Table 3: baseline, temperature scaling, label smoothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mt_ls.records import Model

from .. import paper
from ..quantities import ECE, number
from ..rows import at_fitted, mean
from ..study import Entry, Study
from .layout import Table

HEADER = ("network", "baseline ECE (T=1, alpha=0)", "temperature scaling ECE / T", "label smoothing ECE / alpha")


def table(study: Study) -> Table:
    """The paper's lines, then one for each network that was trained with and without smoothing.

    Ours have the temperature and the alpha that the split `Study.chosen_on` chose.
    """
    networks: dict[Model, list[Entry]] = {}
    for entry in study.untaught:
        if entry.is_plain:
            networks.setdefault(entry.model.without_smoothing, []).append(entry)
    names = Counter(str(model.architecture) for model in networks)
    lines = []
    for model, entries in networks.items():
        name = str(model.architecture)
        lines += _lines(name if names[name] == 1 else entries[0].label, entries, study)
    return Table(
        "calibration",
        "Calibration (Table 3)",
        f"Temperatures are fitted on half of {study.chosen_on}, alpha is chosen on {study.chosen_on}. "
        "Means over seeds.",
        HEADER,
        [*map(list, paper.CALIBRATION_IMAGES), *sorted(lines)],
        split=study.split,
    )


def _lines(network: str, entries: Sequence[Entry], study: Study) -> list[list[str]]:
    on_chosen, on_reported = (
        {entry.amount: (entry, ece) for entry in entries if (ece := _ece(entry, split)) is not None}
        for split in (study.chosen_on, study.split)
    )
    smoothed = [amount for amount in on_chosen if amount and amount in on_reported]
    if not (smoothed and 0.0 in on_reported):
        return []
    amount = min(smoothed, key=lambda amount: on_chosen[amount][1])
    scaled = at_fitted(on_reported[0.0][0].select(mode="images", split=study.split))
    temperature = number(mean(row.record.temperature for row in scaled), 2)
    return [
        [
            network,
            ECE.text(on_reported[0.0][1]),
            f"{ECE.text(ECE.mean(scaled))} / {temperature}" if scaled else "",
            f"{ECE.text(on_reported[amount][1])} / {amount:g}",
        ]
    ]


def _ece(entry: Entry, split: str) -> float | None:
    return ECE.mean(entry.select(mode="images", split=split, temperature=1.0))
