"""What the report's slider moves: reliability, ECE, NLL and BLEU of a hard and a smoothed model at each temperature."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ..rows import Row, alphas, mean, of_images, pooled, select

_IMAGES = [{"quantity": "ece", "name": "ECE", "digits": 4}, {"quantity": "nll", "name": "NLL, nats", "digits": 3}]
_TRANSLATION = [{**_IMAGES[0], "name": "forced ECE"}, _IMAGES[1], {"quantity": "bleu", "name": "BLEU", "digits": 1}]


def data(rows: Sequence[Row], split: str = "test") -> dict[str, Any]:
    """{"temperatures": [...], "columns": [{"quantity", "name", "digits"}], "models": [{"name", "style", "at": [values
    at each temperature or None]}]}: of the hard (alpha 0) and the smoothed model (0.1, or the least other). A
    temperature counts where all runs of a model were measured; bins are pooled over training seeds, numbers are means.
    """
    ours = select(rows, split=split)
    smoothed = [alpha for alpha in alphas(ours) if alpha > 0]
    pair = [alpha for alpha in (0.0, 0.1 if 0.1 in smoothed else min(smoothed, default=0.1)) if alpha in alphas(ours)]
    measured = {alpha: _measured(select(ours, alpha=alpha)) for alpha in pair}
    temperatures = sorted({t for at in measured.values() for t in at})
    of = f"{ours[0].record.network}, " if of_images(ours) else ""
    return {
        "temperatures": temperatures,
        "columns": _IMAGES if of_images(ours) else _TRANSLATION,
        "models": [
            {
                "name": f"{of}α = {alpha:g}",
                "style": "smooth" if alpha else "hard",
                "at": [measured[alpha].get(t) for t in temperatures],
            }
            for alpha in pair
        ],
    }


def _measured(rows: Sequence[Row]) -> dict[float, dict[str, Any]]:
    forced, beam = select(rows, mode="forced") or select(rows, mode="images"), select(rows, mode="beam")
    n_runs = len({row.record.run for row in forced})
    found = {}
    for temperature in {row.record.temperature for row in forced}:
        here = select(forced, temperature=temperature)
        if len({row.record.run for row in here}) < n_runs:
            continue
        searched = [row.record.bleu for row in select(beam, temperature=temperature)]
        confidence, accuracy, count = (values.tolist() for values in pooled(here).curve())
        found[temperature] = {
            "confidence": confidence,
            "accuracy": accuracy,
            "count": count,
            "ece": mean(row.record.bins.ece() for row in here),
            "nll": mean(row.record.nll for row in here),
            "bleu": mean(bleu["score"] for bleu in searched if bleu) if len(searched) == len(here) else None,
        }
    return found


def embedded(measured: dict[str, Any]) -> str:
    """JSON that no text in it can end as a script element."""
    return json.dumps(measured, ensure_ascii=True).replace("<", "\\u003c")
