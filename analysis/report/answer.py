"""The answer of a study in words: whether its models are over-confident, what smoothing and a temperature change."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import significance
from ..advice import confidence_in_words
from ..quantities import ACCURACY, BLEU, ECE, NLL, Quantity
from ..rows import Row, at_fitted, mean, n_seeds, select
from ..study import Entry, Study

_OF_TRANSLATION = (("forced ECE", ECE, "forced"), ("NLL", NLL, "forced"), ("BLEU", BLEU, "beam"))
_OF_IMAGES = (("ECE", ECE, "images"), ("NLL", NLL, "images"), ("accuracy", ACCURACY, "images"))


def answer(study: Study) -> list[str]:
    """Return the sentences on a study's models without smoothing and with smoothing 0.1, by architecture and split.

    A change has a direction where the 95 % interval of its mean over training seeds leaves out 0; the last sentence
    says what the interval counts. No sentence by run, and none where next tokens or images were not measured.
    """
    sentences: list[str] = []
    seeds = set()
    for split in study.splits:
        of_split = study.of_main_search.on(split)
        for hard, smoothed in of_split.comparisons:
            rows = [_rows(entry, of_split) for entry in (hard, smoothed)]
            seeds |= {n_seeds(select(of_entry, temperature=1.0)) for of_entry in rows if of_entry}
            sentences += _sentences(hard, smoothed, of_split)
    return [*sentences, _of_intervals(max(seeds), study)] if sentences else []


def _sentences(hard: Entry | None, smoothed: Entry | None, study: Study) -> list[str]:
    label = study.shared_label(next(entry for entry in (hard, smoothed) if entry))
    place = f"{label} on {study.split}" if label else f"On {study.split}"
    plain, smooth = _rows(hard, study), _rows(smoothed, study)
    at_one, smooth_at_one, fitted = select(plain, temperature=1.0), select(smooth, temperature=1.0), at_fitted(plain)
    sentences = []
    if known := select(at_one, mode=study.forced_mode):
        sentences.append(f"{place}, without smoothing: {confidence_in_words(known)}.")
    if known := select(smooth_at_one, mode=study.forced_mode):
        changes = _changes(at_one, smooth_at_one, study)
        effect = f" Smoothing {changes}." if changes else ""
        sentences.append(f"{place}, with smoothing 0.1: {confidence_in_words(known)}.{effect}")
    if changes := _changes(at_one, fitted, study):
        temperature = mean(row.record.temperature for row in fitted)
        sentences.append(
            f"{place}, without smoothing at T = {temperature:.2f}, fitted on half of {study.fitted_on}: "
            f"the temperature {changes}."
        )
    return sentences


def _rows(entry: Entry | None, study: Study) -> list[Row]:
    return [] if entry is None else entry.select(split=study.split)


def _changes(before: Sequence[Row], after: Sequence[Row], study: Study) -> str:
    """The changes of all quantities: first those with a direction. Empty where none was measured."""
    clear, unclear, other = [], [], []
    for name, quantity, mode in _OF_IMAGES if study.is_of_images else _OF_TRANSLATION:
        pairs = _by_seed(select(before, mode=mode), select(after, mode=mode))
        first, second = (quantity.mean([pair[side] for pair in pairs]) for side in (0, 1))
        if first is None or second is None or (quantity is ACCURACY and first == second):  # no temperature changes it
            continue
        unit = " nats" if quantity is NLL else ""
        change = f"{name} ({quantity.text(first)} to {quantity.text(second)}{unit})"
        bounds = _interval(quantity, pairs)
        if bounds is None:
            other.append(f"makes the {change}")
        elif bounds[0] <= 0 <= bounds[1]:
            unclear.append(change)
        else:
            clear.append(f"{'raises' if bounds[0] > 0 else 'lowers'} {change}")
    without = [f"has no clear effect on {' and '.join(unclear)}"] if unclear else []
    return _listed([*clear, *other, *without])


def _by_seed(before: Sequence[Row], after: Sequence[Row]) -> list[tuple[Row, Row]]:
    """The rows of each training seed that both have."""
    of_seed = {row.record.seed: row for row in before}
    return [(of_seed[row.record.seed], row) for row in after if row.record.seed in of_seed]


def _interval(quantity: Quantity, pairs: Sequence[tuple[Row, Row]]) -> tuple[float, float] | None:
    """The 95 % interval of the mean difference. Where items were not kept it counts seeds alone, and is None of one."""
    kept = [(quantity.resampled(before), quantity.resampled(after)) for before, after in pairs]
    vectors = [after - before for before, after in kept if before is not None and after is not None]
    if len(vectors) == len(pairs):
        return significance.estimate(np.stack(vectors)).interval()
    if len(pairs) == 1:
        return None
    values = [[quantity.mean([row]) for row in pair] for pair in pairs]
    differences = [after - before for before, after in values if before is not None and after is not None]
    return significance.of_seeds(differences).interval()


def _listed(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _of_intervals(seeds: int, study: Study) -> str:
    items = "images" if study.is_of_images else "sentences"
    if seeds == 1:
        return (
            f"An effect is clear where its 95 % interval over {items} leaves out 0. This is one training seed: another "
            "one may give another effect (SEEDS)."
        )
    return f"An effect is clear where its 95 % interval over {items} and {seeds} training seeds leaves out 0."
