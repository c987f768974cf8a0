"""What scores of confidence are worth for keeping the good translations, or the right images."""

from __future__ import annotations

from ..quantities import ACCURACY, CHRF, Quantity
from ..rows import Row, mean, n_seeds, select
from ..selective import (
    ENTROPY,
    LEAST_PROBABILITY,
    LOG_PROBABILITY,
    OF_CONFIDENCE,
    OF_IMAGES,
    OF_SENTENCES,
    RIGHT,
    kept_at,
    normalised,
)
from ..study import Entry, Study
from .layout import Table

_SHARE = f"{RIGHT:.0%} are right".replace("%", " %")


def table(study: Study) -> Table:
    """A line for each model at T = 1, means over the training seeds whose items have scores. No line without them."""
    cells = [line for entry in study.of_main_search.entries if (line := _line(entry, study)) is not None]
    risk = "a wrong class" if study.is_of_images else "1 - chrF"
    kept = (
        ""
        if study.is_of_images
        else f" “Kept” is the greatest share of generated tokens, by a threshold of probability, of which {_SHARE}."
    )
    scores = ["probability"] if study.is_of_images else ["log-probability", "95 %", "least probability"]
    return Table(
        "selective",
        "What the scores of confidence are worth",
        f"Normalised area under the curve of risk ({risk}) over coverage, at T = 1: 0 is the best order of the test "
        f"items, 1 is no selection. MaxLogit has the p of least area on {study.chosen_on}.{kept}",
        ("model", "seeds", "accuracy" if study.is_of_images else "chrF", *scores, "entropy", "MaxLogit", "p")
        + (() if study.is_of_images else ("kept", "threshold")),
        cells,
        whole=False,
        split=study.split,
    )


def _line(entry: Entry, study: Study) -> list[str] | None:
    quantities = OF_IMAGES if study.is_of_images else OF_SENTENCES
    first = OF_CONFIDENCE if study.is_of_images else quantities[LOG_PROBABILITY]
    searched = entry.select(mode="images" if study.is_of_images else "beam", temperature=1.0)
    rows, choosing = (
        [row for row in select(searched, split=split) if first.value(row) is not None]
        for split in (study.split, study.chosen_on)
    )
    if not rows:
        return None
    power = best_power(quantities, choosing)
    max_logit = None if power is None else _mean(normalised(quantities)[power], rows)
    quality = ACCURACY if study.is_of_images else CHRF
    line = [entry.label, str(n_seeds(rows)), quality.text(quality.mean(rows)), first.text(_mean(first, rows))]
    if not study.is_of_images:
        low, high = first.interval(rows) or (None, None)
        line += [f"{first.text(low)}-{first.text(high)}", first.text(_mean(quantities[LEAST_PROBABILITY], rows))]
    line += [first.text(_mean(quantities[ENTROPY], rows)), first.text(max_logit), "" if power is None else str(power)]
    return line if study.is_of_images else [*line, *_tokens(rows)]


def _tokens(rows: list[Row]) -> list[str]:
    """The share of generated tokens that are kept, and the threshold."""
    kept = kept_at(sum((row.record.bins for row in rows[1:]), rows[0].record.bins))
    return ["none", ""] if kept is None else [f"{kept.share:.0%}".replace("%", " %"), f"{kept.threshold:.2f}"]


def best_power(quantities: tuple[Quantity, ...], rows: list[Row]) -> int | None:
    """The p of MaxLogit-pNorm with the least mean area on rows of the split that chooses; None where none is known."""
    areas = {p: _mean(quantity, rows) for p, quantity in normalised(quantities).items()}
    known = {p: area for p, area in areas.items() if area is not None}
    return min(known, key=lambda p: known[p], default=None)


def _mean(quantity: Quantity, rows: list[Row]) -> float | None:
    """The mean over rows, None where the items of one have no scores, or a score is not known."""
    values = [quantity.value(row) for row in rows]
    return mean(values) if values and all(value is not None and value == value for value in values) else None
