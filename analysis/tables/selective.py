"""What scores of confidence are worth for keeping the good translations, the right tokens, or the right images."""

from __future__ import annotations

from collections.abc import Sequence

from ..quantities import ACCURACY, CHRF, Quantity
from ..rows import Row, mean, n_seeds, select
from ..selective import (
    BY_BLEU,
    ENTROPY,
    LEAST_PROBABILITY,
    LOG_PROBABILITY,
    OF_CONFIDENCE,
    OF_IMAGES,
    OF_SENTENCES,
    OF_TOKENS,
    RIGHT,
    best_power,
    kept_at,
    normalised,
)
from ..study import Entry, Study
from .layout import Table

_SHARE = f"{RIGHT:.0%} are right".replace("%", " %")
_HOW = (
    "Normalised area under the curve of risk ({risk}) over coverage, at T = 1: 0 is the best order of the test "
    "{items}, 1 is no selection. MaxLogit has the p of least area on {chosen_on}.{more}"
)


def table(study: Study) -> Table:
    """A line for each model at T = 1, means over the training seeds whose items have scores. No line without them."""
    line = _line_of_images if study.is_of_images else _line_of_sentences
    cells = [cells for entry in study.of_main_search.entries if (cells := line(entry, study)) is not None]
    quality, scores = "accuracy", ["probability"]
    risk, items = "a wrong class", "images"
    if not study.is_of_images:
        quality, scores = "chrF", ["log-probability", "95 %", "risk by BLEU", "least probability"]
        risk, items = "1 - chrF; in one column 1 - BLEU of the sentence, by log-probability", "sentences"
    return Table(
        "selective",
        "What the scores of confidence are worth",
        _HOW.format(risk=risk, items=items, chosen_on=study.chosen_on, more=""),
        ("model", "seeds", quality, *scores, "entropy", "MaxLogit", "p"),
        cells,
        whole=False,
        split=study.split,
    )


def of_tokens(study: Study) -> Table:
    """The same of generated tokens."""
    kept = f" “Kept” is the greatest share of the tokens, by a threshold of probability, of which {_SHARE}."
    cells = [cells for entry in study.of_main_search.entries if (cells := _line_of_tokens(entry, study)) is not None]
    return Table(
        "selective_tokens",
        "What the scores of tokens are worth",
        _HOW.format(risk="a wrong token", items="tokens", chosen_on=study.chosen_on, more=kept),
        ("model", "seeds", "accuracy", "probability", "entropy", "MaxLogit", "p", "kept", "threshold"),
        cells,
        whole=False,
        split=study.split,
    )


def _line_of_images(entry: Entry, study: Study) -> list[str] | None:
    rows, choosing = _rows(entry, study, OF_CONFIDENCE)
    if not rows:
        return None
    cells = [ACCURACY.text(ACCURACY.mean(rows)), _cell(OF_CONFIDENCE, rows), _cell(OF_IMAGES[ENTROPY], rows)]
    return [entry.label, str(n_seeds(rows)), *cells, *_max_logit(OF_IMAGES, rows, choosing)]


def _line_of_sentences(entry: Entry, study: Study) -> list[str] | None:
    first = OF_SENTENCES[LOG_PROBABILITY]
    rows, choosing = _rows(entry, study, first)
    if not rows:
        return None
    low, high = first.interval(rows) or (None, None)
    cells = [CHRF.text(CHRF.mean(rows)), _cell(first, rows), f"{first.text(low)}-{first.text(high)}"]
    cells += [_cell(quantity, rows) for quantity in (BY_BLEU, OF_SENTENCES[LEAST_PROBABILITY], OF_SENTENCES[ENTROPY])]
    return [entry.label, str(n_seeds(rows)), *cells, *_max_logit(OF_SENTENCES, rows, choosing)]


def _line_of_tokens(entry: Entry, study: Study) -> list[str] | None:
    probability, entropy, *_ = OF_TOKENS
    rows, choosing = _rows(entry, study, probability)
    if not rows:
        return None
    cells = [ACCURACY.text(ACCURACY.mean(rows)), _cell(probability, rows), _cell(entropy, rows)]
    kept = kept_at(sum((row.record.bins for row in rows[1:]), rows[0].record.bins))
    last = ["none", ""] if kept is None else [f"{kept.share:.0%}".replace("%", " %"), f"{kept.threshold:.2f}"]
    return [entry.label, str(n_seeds(rows)), *cells, *_max_logit(OF_TOKENS, rows, choosing), *last]


def _rows(entry: Entry, study: Study, quantity: Quantity) -> tuple[list[Row], list[Row]]:
    """The rows at T = 1 that have the quantity: of the reported split, and of the one that chooses."""
    measured = entry.select(mode="images" if study.is_of_images else "beam", temperature=1.0)
    known = [row for row in measured if quantity.value(row) is not None]
    return select(known, split=study.split), select(known, split=study.chosen_on)


def _max_logit(quantities: tuple[Quantity, ...], rows: list[Row], choosing: list[Row]) -> list[str]:
    """The area by MaxLogit-pNorm, and p; empty where it is not known."""
    areas = {p: _mean(quantity, choosing) for p, quantity in normalised(quantities).items()}
    known = {p: area for p, area in areas.items() if area is not None}
    if not known:
        return ["", ""]
    power = best_power(known)
    return [_cell(normalised(quantities)[power], rows), str(power)]


def _cell(quantity: Quantity, rows: Sequence[Row]) -> str:
    return quantity.text(_mean(quantity, rows))


def _mean(quantity: Quantity, rows: Sequence[Row]) -> float | None:
    """The mean over rows, None where the items of one have no scores, or a score is not known."""
    values = [quantity.value(row) for row in rows]
    return mean(values) if values and all(value is not None and value == value for value in values) else None
