"""The claims about translation: the paper's sections 1 and 3, and two of its critics."""

from __future__ import annotations

from collections.abc import Callable, Mapping

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
from . import search_temperature
from .pair import BEAM, Pair, claim_of_seeds, no_pair
from .rule import Measured, Missing, Part

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


_BASELINE, _SCALED, _SMOOTHED = (cell.split(" / ")[0] for cell in paper.CALIBRATION_TRANSLATION[1:])
CLAIMS = (
    claim_of_seeds(
        1,
        "Without smoothing the Transformer is over-confident on next tokens",
        "Fig. 3",
        "only drawn",
        Part("confidence - accuracy", "probability", _overconfident),
    ),
    claim_of_seeds(
        2,
        "Smoothing 0.1 lowers forced ECE",
        "Table 3",
        f"{_BASELINE} to {_SMOOTHED}",
        Part("ECE(0) - ECE(0.1)", "ECE", _smoothing_calibrates),
    ),
    claim_of_seeds(
        3,
        "A fitted temperature lowers the baseline's ECE to about the same level",
        "Table 3",
        f"{_SCALED} and {_SMOOTHED}",
        Part("ECE(0) - ECE(0, fitted T)", "ECE", _temperature_calibrates),
        Part("ECE(0, fitted T) - ECE(0.1)", "ECE", _temperature_calibrates_as_much, "same"),
    ),
    claim_of_seeds(
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
    claim_of_seeds(
        5,
        "Smoothing raises NLL, and at every temperature",
        "Table 1, Fig. 4 right",
        f"perplexity {paper.PERPLEXITY[0]} to {paper.PERPLEXITY[1]}",
        Part("NLL(0.1) - NLL(0) at T = 1", "nats", _nll_at_one),
        Part("the same at the T that is worst for the claim", "nats", _nll_at_worst),
        Part("the same, each at its fitted T (refinement)", "nats", _refinement),
        Part("what a fitted T takes from NLL(0), less from NLL(0.1) (calibration)", "nats", _calibration_part),
    ),
    *search_temperature.CLAIMS,
    claim_of_seeds(
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
    claim_of_seeds(
        10,
        "Smoothing makes wide beams shorter",
        "Liang et al. 2022",
        "not in this paper",
        Part("length ratio lost from beam 5 to 50, (0.1) - (0)", "length ratio", _smoothing_shortens_wide_beams(1.0)),
        Part("the same without a length penalty", "length ratio", _smoothing_shortens_wide_beams(0.0)),
        Part("both lose the same", "length ratio", _smoothing_shortens_wide_beams(1.0), "same"),
    ),
)
