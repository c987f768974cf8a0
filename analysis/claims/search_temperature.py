"""Claims about the temperature of a search: what it does to BLEU, and how it is best chosen (the paper's section 3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ..quantities import BLEU, ECE, NLL, Quantity
from .pair import BEAM, Pair, claim_of_seeds, with_seeds
from .rule import Claim, Measured, Missing, NotTestable, Part


def _hottest(pair: Pair) -> tuple[float, str]:
    """The temperature above 1 at which the baseline's BLEU is best, and a note on it."""
    grid = pair.searched_temperatures()
    above = [t for t in grid if t > 1]
    if not above:
        raise Missing("beam searches at a temperature above 1")
    best = pair.best(BLEU, 0.0, above, BEAM)
    return best, f"T = {best:g}" + (", the greatest that was searched at" if best == grid[-1] else "")


def _temperature_raises_bleu(pair: Pair) -> Measured:
    best, note = _hottest(pair)
    return Measured(pair.test(BLEU, 0.0, best, BEAM) - pair.test(BLEU, 0.0, beam=BEAM), note)


def _smoothing_raises_it_more(pair: Pair) -> Measured:
    best, note = _hottest(pair)
    return Measured(pair.test(BLEU, 0.1, beam=BEAM) - pair.test(BLEU, 0.0, best, BEAM), note)


def _another_temperature_hurts(quantity: Quantity, above: bool) -> Callable[[Pair], Measured]:
    """The loss of the smoothed model at the best of the searched temperatures on one side of 1."""

    def measure(pair: Pair) -> Measured:
        beam = BEAM if quantity is BLEU else None
        others = [t for t in pair.searched_temperatures() if (t > 1 if above else t < 1)]
        if not others:
            raise Missing(f"beam searches at a temperature {'above' if above else 'below'} 1")
        best = pair.best(quantity, 0.1, others, beam)
        lost = pair.test(quantity, 0.1, beam=beam) - pair.test(quantity, 0.1, best, beam)
        return Measured(quantity.better * lost, f"T = {best:g}")

    return measure


def _ece_chooses_a_temperature(pair: Pair) -> Measured:
    """BLEU at the searched temperature of least ECE, less that at the one of least NLL, as the other split shows them.

    Each run chooses its own. The mean over both amounts of smoothing.
    """
    grid = pair.searched_temperatures()
    gains, differ = [], 0
    for alpha in (0.0, 0.1):
        bleu = np.stack([pair.test(BLEU, alpha, t, BEAM) for t in grid])
        by_ece, by_nll = (_least(quantity, pair, [(alpha, t) for t in grid]) for quantity in (ECE, NLL))
        differ += int((by_ece != by_nll).sum())
        gains.append(_chosen(bleu, by_ece) - _chosen(bleu, by_nll))
    if not differ:
        raise NotTestable(f"both choose the same temperature in each of {2 * len(pair.seeds)} runs")
    return Measured(np.mean(gains, axis=0), f"they differ in {differ} of {2 * len(pair.seeds)} runs")


def _ece_chooses_a_model(pair: Pair) -> Measured:
    """The same where one of all cells is chosen: a model and a temperature."""
    cells = [(alpha, t) for alpha in (0.0, 0.1) for t in pair.searched_temperatures()]
    bleu = np.stack([pair.test(BLEU, *cell, BEAM) for cell in cells])
    by_ece, by_nll = (_least(quantity, pair, cells) for quantity in (ECE, NLL))
    if (by_ece == by_nll).all():
        raise NotTestable(f"both choose the same model and temperature with each of {len(pair.seeds)} seeds")
    names = [f"alpha {alpha:g}, T {t:g}" for alpha, t in cells]
    chosen = (" or ".join(dict.fromkeys(names[i] for i in by)) for by in (by_ece, by_nll))
    return Measured(_chosen(bleu, by_ece) - _chosen(bleu, by_nll), " against ".join(chosen))


def _least(quantity: Quantity, pair: Pair, cells: Sequence[tuple[float, float]]) -> np.ndarray:
    """The number of the cell (alpha, T) in which a forced quantity is least, by seed, (seeds,)."""
    return np.argmin([pair.valid(quantity, *cell)[:, 0] for cell in cells], axis=0)


def _chosen(values: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """The vectors (seeds, draws + 1) of the chosen cell of each seed, of ``values`` (cells, seeds, draws + 1)."""
    return values[cells, np.arange(values.shape[1])]


def _of_widest_grid(part: Part) -> Part:
    """The part over the seeds that were searched at the most temperatures, which are named where they are not all."""

    def measure(pair: Pair) -> Measured:
        widest = pair.of_widest_grid()
        if widest.seeds == pair.seeds:
            return part.measure(pair)
        return with_seeds(part.measure(widest), widest.seeds)

    return replace(part, measure=measure)


def _claim(number: int, words: str, where: str, numbers: str, *parts: Part) -> Claim:
    return claim_of_seeds(number, words, where, numbers, *map(_of_widest_grid, parts))


CLAIMS = (
    _claim(
        6,
        "A temperature above 1 raises the baseline's BLEU a little, not to the smoothed model's",
        "Fig. 4 left",
        "only drawn",
        Part("BLEU(0, best T > 1) - BLEU(0)", "BLEU", _temperature_raises_bleu),
        Part("BLEU(0.1) - BLEU(0, best T > 1)", "BLEU", _smoothing_raises_it_more),
    ),
    _claim(
        7,
        "For the smoothed model any T other than 1 hurts BLEU and ECE",
        "Fig. 4 centre",
        "only drawn",
        Part("BLEU(0.1) - BLEU(0.1, best T < 1)", "BLEU", _another_temperature_hurts(BLEU, above=False)),
        Part("BLEU(0.1) - BLEU(0.1, best T > 1)", "BLEU", _another_temperature_hurts(BLEU, above=True)),
        Part("ECE(0.1, best T < 1) - ECE(0.1)", "ECE", _another_temperature_hurts(ECE, above=False)),
        Part("ECE(0.1, best T > 1) - ECE(0.1)", "ECE", _another_temperature_hurts(ECE, above=True)),
    ),
    _claim(
        8,
        "The temperature of least ECE predicts that of best BLEU better than least NLL does",
        "section 3",
        "slightly better",
        Part("BLEU(T of least ECE) - BLEU(T of least NLL)", "BLEU", _ece_chooses_a_temperature),
        Part("the same, of all models and T", "BLEU", _ece_chooses_a_model),
    ),
)
