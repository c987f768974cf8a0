"""The claims about translation: the paper's sections 1 and 3, and two of its critics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from .. import paper
from ..quantities import (
    BLEU,
    BLEU_WITHOUT_BREVITY,
    CHRF,
    ECE,
    ECE_WITHOUT_EOS,
    LENGTH_RATIO,
    NLL,
    OVERCONFIDENCE,
    TER,
    Quantity,
)
from ..study import Study
from .pair import BEAM, Pair, no_pair, of_measured_seeds, with_seeds
from .rule import Claim, Measured, Missing, NotTestable, Part

WIDE_BEAM = 50


def _overconfident(pair: Pair) -> Measured:
    return Measured(pair.test(OVERCONFIDENCE, 0.0))


def _smoothing_calibrates(pair: Pair) -> Measured:
    return Measured(pair.test(ECE, 0.0) - pair.test(ECE, 0.1))


def _temperature_calibrates(pair: Pair) -> Measured:
    return Measured(pair.test(ECE, 0.0) - pair.test(ECE, 0.0, "fitted"))


def _temperature_calibrates_as_much(pair: Pair) -> Measured:
    return Measured(pair.test(ECE, 0.0, "fitted") - pair.test(ECE, 0.1))


def _smoothing_improves(quantity: Quantity) -> Callable[[Pair], Measured]:
    """The gain of smoothing in a score of translations at T = 1."""

    def measure(pair: Pair) -> Measured:
        smoothed, hard = pair.test(quantity, 0.1, beam=BEAM), pair.test(quantity, 0.0, beam=BEAM)
        return Measured(quantity.better * (smoothed - hard))

    return measure


def _smoothing_improves_without_brevity(pair: Pair) -> Measured:
    ratios = [pair.test(LENGTH_RATIO, alpha, beam=BEAM)[:, 0].mean() for alpha in (0.0, 0.1)]
    gain = _smoothing_improves(BLEU_WITHOUT_BREVITY)(pair).vectors
    return Measured(gain, f"lengths over the references' {ratios[0]:.3f} and {ratios[1]:.3f}")


def _smoothing_improves_at_best_penalty(pair: Pair) -> Measured:
    """The gain of smoothing in BLEU, each model with the length penalty that is best for it on the choosing split."""
    penalties = pair.length_penalties()
    if len(penalties) < 2:
        raise Missing("beam searches with several length penalties")
    best = {
        alpha: max(penalties, key=lambda p: pair.valid(BLEU, alpha, beam=BEAM, lenpen=p).mean()) for alpha in (0.0, 0.1)
    }
    hard, smoothed = (pair.test(BLEU, alpha, beam=BEAM, lenpen=best[alpha]) for alpha in (0.0, 0.1))
    return Measured(smoothed - hard, f"length penalties {best[0.0]:g} and {best[0.1]:g}")


def _nll_at_one(pair: Pair) -> Measured:
    return Measured(pair.test(NLL, 0.1) - pair.test(NLL, 0.0), _crossover(pair))


def _crossover(pair: Pair) -> str:
    """The temperature at which the mean NLL with smoothing begins to be the greater one, interpolated, in words."""
    temperatures = pair.temperatures()
    more = [float((pair.test(NLL, 0.1, t) - pair.test(NLL, 0.0, t))[:, 0].mean()) for t in temperatures]
    for i in range(1, len(more)):
        if more[i - 1] <= 0 < more[i]:
            share = -more[i - 1] / (more[i] - more[i - 1])
            at = temperatures[i - 1] + share * (temperatures[i] - temperatures[i - 1])
            return f"above T = {at:.2f} smoothing has the greater NLL, below it the lesser"
    return f"the same sign from T = {temperatures[0]:g} to {temperatures[-1]:g}" if len({*np.sign(more)}) == 1 else ""


def _nll_at_worst(pair: Pair) -> Measured:
    """At the temperature at which the claim fares worst on the split that chooses."""
    excess = {
        t: float((pair.valid(NLL, 0.1, t) - pair.valid(NLL, 0.0, t)).mean())
        for t in set(pair.temperatures(pair.chosen_on)) & set(pair.temperatures())
    }
    worst = min(excess, key=lambda t: excess[t])
    return Measured(pair.test(NLL, 0.1, worst) - pair.test(NLL, 0.0, worst), f"T = {worst:g}")


def _refinement(pair: Pair) -> Measured:
    return Measured(pair.test(NLL, 0.1, "fitted") - pair.test(NLL, 0.0, "fitted"))


def _calibration_part(pair: Pair) -> Measured:
    of_each = {alpha: pair.test(NLL, alpha) - pair.test(NLL, alpha, "fitted") for alpha in (0.0, 0.1)}
    return Measured(of_each[0.0] - of_each[0.1])


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


def _beam_ece_is_worse(quantity: Quantity, alpha: float) -> Callable[[Pair], Measured]:
    """Beam ECE, which counts no EOS, less a forced ``quantity``."""
    return lambda pair: Measured(pair.test(ECE, alpha, beam=BEAM) - pair.test(quantity, alpha))


def _smoothing_shortens_wide_beams(lenpen: float) -> Callable[[Pair], Measured]:
    """The length that smoothing loses from the usual to the wide beam, less that of the baseline."""

    def measure(pair: Pair) -> Measured:
        lost = {
            alpha: pair.test(LENGTH_RATIO, alpha, beam=BEAM, lenpen=lenpen)
            - pair.test(LENGTH_RATIO, alpha, beam=WIDE_BEAM, lenpen=lenpen)
            for alpha in (0.0, 0.1)
        }
        return Measured(lost[0.1] - lost[0.0])

    return measure


class Evidence:
    """The pairs of a study."""

    def __init__(self, study: Study, draws: int) -> None:
        self._study = study
        self._draws = draws
        self._pairs: dict[str, Pair] | None = None

    @property
    def pairs(self) -> Mapping[str, Pair]:
        """The pairs, by the label of their model without smoothing where there are several. Raises Missing for none."""
        if self._pairs is None:
            pairs = self._study.pairs
            if not pairs:
                raise Missing(no_pair(self._study))
            several = len(pairs) > 1
            self._pairs = {
                hard.label * several: Pair(hard, smoothed, self._study, self._draws) for hard, smoothed in pairs
            }
        return self._pairs


def _of_widest_grid(part: Part) -> Part:
    """The part over the seeds that were searched at the most temperatures, which are named where they are not all."""

    def measure(pair: Pair) -> Measured:
        widest = pair.of_widest_grid()
        if widest.seeds == pair.seeds:
            return part.measure(pair)
        return with_seeds(part.measure(widest), widest.seeds)

    return replace(part, measure=measure)


def _claim(number: int, words: str, where: str, numbers: str, *parts: Part) -> Claim:
    return Claim(number, words, where, numbers, [of_measured_seeds(part) for part in parts], lambda of: of.pairs)


_BASELINE, _SCALED, _SMOOTHED = (cell.split(" / ")[0] for cell in paper.CALIBRATION_TRANSLATION[1:])
CLAIMS = (
    _claim(
        1,
        "Without smoothing the Transformer is over-confident on next tokens",
        "Fig. 3",
        "only drawn",
        Part("confidence - accuracy", "probability", _overconfident),
    ),
    _claim(
        2,
        "Smoothing 0.1 lowers forced ECE",
        "Table 3",
        f"{_BASELINE} to {_SMOOTHED}",
        Part("ECE(0) - ECE(0.1)", "ECE", _smoothing_calibrates),
    ),
    _claim(
        3,
        "A fitted temperature lowers the baseline's ECE to about the same level",
        "Table 3",
        f"{_SCALED} and {_SMOOTHED}",
        Part("ECE(0) - ECE(0, fitted T)", "ECE", _temperature_calibrates),
        Part("ECE(0, fitted T) - ECE(0.1)", "ECE", _temperature_calibrates_as_much, "same"),
    ),
    _claim(
        4,
        "Smoothing raises BLEU at T = 1",
        "Table 1, Fig. 4",
        f"{paper.BLEU[0]} to {paper.BLEU[1]}",
        Part("BLEU(0.1) - BLEU(0)", "BLEU", _smoothing_improves(BLEU)),
        Part("the same without the brevity penalty", "BLEU", _smoothing_improves_without_brevity),
        Part("the same with each model's best length penalty", "BLEU", _smoothing_improves_at_best_penalty),
        Part("chrF(0.1) - chrF(0)", "chrF", _smoothing_improves(CHRF)),
        Part("TER(0) - TER(0.1)", "TER", _smoothing_improves(TER)),
    ),
    _claim(
        5,
        "Smoothing raises NLL, and at every temperature",
        "Table 1, Fig. 4 right",
        f"perplexity {paper.PERPLEXITY[0]} to {paper.PERPLEXITY[1]}",
        Part("NLL(0.1) - NLL(0) at T = 1", "nats", _nll_at_one),
        Part("the same at the T that is worst for the claim", "nats", _nll_at_worst),
        Part("the same, each at its fitted T (refinement)", "nats", _refinement),
        Part("what a fitted T takes from NLL(0), less from NLL(0.1) (calibration)", "nats", _calibration_part),
    ),
    _claim(
        6,
        "A temperature above 1 raises the baseline's BLEU a little, not to the smoothed model's",
        "Fig. 4 left",
        "only drawn",
        _of_widest_grid(Part("BLEU(0, best T > 1) - BLEU(0)", "BLEU", _temperature_raises_bleu)),
        _of_widest_grid(Part("BLEU(0.1) - BLEU(0, best T > 1)", "BLEU", _smoothing_raises_it_more)),
    ),
    _claim(
        7,
        "For the smoothed model any T other than 1 hurts BLEU and ECE",
        "Fig. 4 centre",
        "only drawn",
        _of_widest_grid(
            Part("BLEU(0.1) - BLEU(0.1, best T < 1)", "BLEU", _another_temperature_hurts(BLEU, above=False))
        ),
        _of_widest_grid(
            Part("BLEU(0.1) - BLEU(0.1, best T > 1)", "BLEU", _another_temperature_hurts(BLEU, above=True))
        ),
        _of_widest_grid(Part("ECE(0.1, best T < 1) - ECE(0.1)", "ECE", _another_temperature_hurts(ECE, above=False))),
        _of_widest_grid(Part("ECE(0.1, best T > 1) - ECE(0.1)", "ECE", _another_temperature_hurts(ECE, above=True))),
    ),
    _claim(
        8,
        "The temperature of least ECE predicts that of best BLEU better than least NLL does",
        "section 3",
        "slightly better",
        _of_widest_grid(Part("BLEU(T of least ECE) - BLEU(T of least NLL)", "BLEU", _ece_chooses_a_temperature)),
        _of_widest_grid(Part("the same, of all models and T", "BLEU", _ece_chooses_a_model)),
    ),
    _claim(
        9,
        "Beam ECE is worse than forced ECE",
        "Wang et al. 2020",
        "not in this paper",
        Part(
            "beam ECE(0), TER hits, no EOS - forced ECE(0), argmax hits, with EOS", "ECE", _beam_ece_is_worse(ECE, 0.0)
        ),
        Part("the same of 0.1", "ECE", _beam_ece_is_worse(ECE, 0.1)),
        Part("beam ECE(0) - forced ECE(0), both without EOS", "ECE", _beam_ece_is_worse(ECE_WITHOUT_EOS, 0.0)),
        Part("the same of 0.1", "ECE", _beam_ece_is_worse(ECE_WITHOUT_EOS, 0.1)),
    ),
    _claim(
        10,
        "Smoothing makes wide beams shorter",
        "Liang et al. 2022",
        "not in this paper",
        Part("length ratio lost from beam 5 to 50, (0.1) - (0)", "length ratio", _smoothing_shortens_wide_beams(1.0)),
        Part("the same without a length penalty", "length ratio", _smoothing_shortens_wide_beams(0.0)),
        Part("both lose the same", "length ratio", _smoothing_shortens_wide_beams(1.0), "same"),
    ),
)
