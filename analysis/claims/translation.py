"""The claims about translation: the paper's sections 1 and 3, and two of its critics."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .. import paper
from ..quantities import BLEU, ECE, LENGTH_RATIO, NLL, OVERCONFIDENCE, Quantity
from ..rows import Row, at_fitted, select
from ..study import Entry, Study
from .rule import Claim, Missing, Parts

BEAM = 5
_CHECKED_MODES = ("forced", "beam")


class Pair:
    """A model without smoothing and its smoothed one, over the training seeds of which both are measured on valid and
    on test. The quantities on test are vectors (seeds, draws + 1), those on valid values of the records (seeds, 1)."""

    def __init__(self, hard: Entry, smoothed: Entry, reported: str, draws: int) -> None:
        self._entries = {0.0: hard, 0.1: smoothed}
        self.reported = reported
        self._draws = draws
        self._known: dict[tuple[object, ...], np.ndarray] = {}
        measured = [
            {row.record.seed for row in entry.select(split=split) if row.record.mode in _CHECKED_MODES}
            for split in ("valid", reported)
            for entry in (hard, smoothed)
        ]
        # A run that is not yet measured on both splits does not count on either.
        self.seeds = sorted(seed for seed in set.intersection(*measured) if seed is not None)
        if not self.seeds:
            raise Missing(_NO_PAIR)

    def test(
        self, quantity: Quantity, alpha: float, temperature: float | str = 1.0, beam: int | None = None
    ) -> np.ndarray:
        """A quantity on the reported split at a temperature, or "fitted"; in forced mode without a beam."""
        return self._stacked(self.reported, quantity, alpha, temperature, beam)

    def valid(
        self, quantity: Quantity, alpha: float, temperature: float | str = 1.0, beam: int | None = None
    ) -> np.ndarray:
        """The same on valid, without resamples: what choices are made from."""
        return self._stacked("valid", quantity, alpha, temperature, beam)

    def _stacked(
        self, split: str, quantity: Quantity, alpha: float, temperature: float | str, beam: int | None
    ) -> np.ndarray:
        wanted = (split, quantity.name, alpha, temperature, beam)
        if wanted not in self._known:
            vectors = [self._of_run(seed, split, quantity, alpha, temperature, beam) for seed in self.seeds]
            self._known[wanted] = np.stack(vectors)
        return self._known[wanted]

    def _of_run(
        self, seed: int, split: str, quantity: Quantity, alpha: float, temperature: float | str, beam: int | None
    ) -> np.ndarray:
        rows = self._rows(split, alpha, seed, beam)
        rows = at_fitted(rows) if temperature == "fitted" else select(rows, temperature=temperature)
        what = f"{split}, alpha {alpha:g}, seed {seed}, {_mode(beam)}{beam or ''}, T {temperature}"
        if not rows:
            raise Missing(what)
        vector = _value(quantity, rows[-1]) if split == "valid" else quantity.resampled(rows[-1], self._draws)
        if vector is None:
            raise Missing(f"{what}: its {' and '.join(quantity.needs)}")
        return vector

    def _rows(self, split: str, alpha: float, seed: int, beam: int | None) -> list[Row]:
        rows = self._entries[alpha].select(split=split, seed=seed, mode=_mode(beam), beam=beam)
        return select(rows, search_precision=None)  # a search in half precision decides no claim

    def temperatures(self, split: str, beam: int | None = None) -> list[float]:
        """The temperatures that every run was measured at."""
        cells = [self._rows(split, alpha, seed, beam) for alpha in self._entries for seed in self.seeds]
        common = sorted(set.intersection(*({row.record.temperature for row in rows} for rows in cells)))
        if len(common) < 2:
            raise Missing(f"{split}: {_mode(beam)} at several temperatures")
        return common


_NO_PAIR = "runs of alpha 0 and 0.1 with the same seed on valid and test"


def _mode(beam: int | None) -> str:
    return "forced" if beam is None else "beam"


def _value(quantity: Quantity, row: Row) -> np.ndarray | None:
    value = quantity.of_record(row.record)
    return None if value is None else np.array([value])


def _overconfident(pair: Pair) -> Parts:
    return {"confidence - accuracy": pair.test(OVERCONFIDENCE, 0.0)}


def _smoothing_calibrates(pair: Pair) -> Parts:
    return {"ECE(0) - ECE(0.1)": pair.test(ECE, 0.0) - pair.test(ECE, 0.1)}


def _temperature_calibrates(pair: Pair) -> Parts:
    scaled = pair.test(ECE, 0.0, "fitted")
    difference = scaled - pair.test(ECE, 0.1)
    return {
        "ECE(0) - ECE(0, fitted T)": pair.test(ECE, 0.0) - scaled,
        f"{paper.NOISE_FLOOR} - (ECE(0, fitted T) - ECE(0.1))": paper.NOISE_FLOOR - difference,
        f"{paper.NOISE_FLOOR} + (ECE(0, fitted T) - ECE(0.1))": paper.NOISE_FLOOR + difference,
    }


def _smoothing_raises_bleu(pair: Pair) -> Parts:
    return {"BLEU(0.1) - BLEU(0)": pair.test(BLEU, 0.1, beam=BEAM) - pair.test(BLEU, 0.0, beam=BEAM)}


def _smoothing_raises_nll(pair: Pair) -> Parts:
    return {
        f"NLL(0.1) - NLL(0) at T = {t:g}": pair.test(NLL, 0.1, t) - pair.test(NLL, 0.0, t)
        for t in pair.temperatures(pair.reported)
    }


def _temperature_raises_bleu_a_little(pair: Pair) -> Parts:
    above = [t for t in pair.temperatures("valid", BEAM) if t > 1]
    if not above:
        raise Missing("beam searches at a temperature above 1")
    best = max(above, key=lambda t: pair.valid(BLEU, 0.0, t, BEAM)[:, 0].mean())
    scaled = pair.test(BLEU, 0.0, best, BEAM)
    return {
        f"BLEU(0, T = {best:g}) - BLEU(0)": scaled - pair.test(BLEU, 0.0, beam=BEAM),
        f"BLEU(0.1) - BLEU(0, T = {best:g})": pair.test(BLEU, 0.1, beam=BEAM) - scaled,
    }


def _any_temperature_hurts_the_smoothed(pair: Pair) -> Parts:
    bleu, ece = pair.test(BLEU, 0.1, beam=BEAM), pair.test(ECE, 0.1)
    others = [t for t in pair.temperatures(pair.reported, BEAM) if t != 1]
    return {
        **{f"BLEU(0.1) - BLEU(0.1, T = {t:g})": bleu - pair.test(BLEU, 0.1, t, BEAM) for t in others},
        **{f"ECE(0.1, T = {t:g}) - ECE(0.1)": pair.test(ECE, 0.1, t) - ece for t in others},
    }


def _ece_predicts_bleu(pair: Pair) -> Parts:
    """BLEU on test at the temperature of least ECE on valid, less that at the one of least NLL.

    Each run chooses its own, of the temperatures that were searched at. The mean over both amounts of smoothing.
    """
    grid = pair.temperatures(pair.reported, BEAM)
    gains = []
    for alpha in (0.0, 0.1):
        bleu = np.stack([pair.test(BLEU, alpha, t, BEAM) for t in grid])
        by_ece, by_nll = (
            np.argmin([pair.valid(quantity, alpha, t)[:, 0] for t in grid], axis=0) for quantity in (ECE, NLL)
        )
        runs = np.arange(bleu.shape[1])
        gains.append(bleu[by_ece, runs] - bleu[by_nll, runs])
    return {"BLEU(T of least ECE) - BLEU(T of least NLL)": np.mean(gains, axis=0)}


def _beam_ece_is_worse(pair: Pair) -> Parts:
    return {
        f"beam ECE({alpha:g}) - forced ECE({alpha:g})": pair.test(ECE, alpha, beam=BEAM) - pair.test(ECE, alpha)
        for alpha in (0.0, 0.1)
    }


def _smoothing_shortens_wide_beams(pair: Pair) -> Parts:
    lost = {
        alpha: pair.test(LENGTH_RATIO, alpha, beam=BEAM) - pair.test(LENGTH_RATIO, alpha, beam=50)
        for alpha in (0.0, 0.1)
    }
    return {"length lost from beam 5 to 50, (0.1) - (0)": lost[0.1] - lost[0.0]}


class Evidence:
    """The pairs of a study; the parts of a claim are those of each pair."""

    def __init__(self, study: Study, draws: int) -> None:
        self._study = study
        self._draws = draws
        self._pairs: dict[str, Pair] | None = None

    def parts(self, of_pair: Callable[[Pair], Parts]) -> Parts:
        """The parts of every pair, named by their model where there are several. Raises Missing for no pair."""
        if self._pairs is None:
            pairs = self._study.pairs
            if not pairs:
                raise Missing(_NO_PAIR)
            several = len(pairs) > 1
            self._pairs = {
                f", {hard.label}" * several: Pair(hard, smoothed, self._study.split, self._draws)
                for hard, smoothed in pairs
            }
        return {f"{part}{name}": v for name, pair in self._pairs.items() for part, v in of_pair(pair).items()}


def _claim(number: int, words: str, where: str, numbers: str, unit: str, of_pair: Callable[[Pair], Parts]) -> Claim:
    return Claim(number, words, where, numbers, unit, lambda evidence: evidence.parts(of_pair))


_BASELINE, _SCALED, _SMOOTHED = (cell.split(" / ")[0] for cell in paper.CALIBRATION_TRANSLATION[1:])
CLAIMS = (
    _claim(
        1,
        "Without smoothing the Transformer is over-confident on next tokens",
        "Fig. 3",
        "only drawn",
        "probability",
        _overconfident,
    ),
    _claim(
        2, "Smoothing 0.1 lowers forced ECE", "Table 3", f"{_BASELINE} to {_SMOOTHED}", "ECE", _smoothing_calibrates
    ),
    _claim(
        3,
        "A fitted temperature lowers the baseline's ECE to about the same level",
        "Table 3",
        f"{_SCALED} and {_SMOOTHED}",
        "ECE",
        _temperature_calibrates,
    ),
    _claim(
        4,
        "Smoothing raises BLEU at T = 1",
        "Table 1, Fig. 4",
        f"{paper.BLEU[0]} to {paper.BLEU[1]}",
        "BLEU",
        _smoothing_raises_bleu,
    ),
    _claim(
        5,
        "Smoothing raises NLL, and at every temperature",
        "Table 1, Fig. 4 right",
        f"perplexity {paper.PERPLEXITY[0]} to {paper.PERPLEXITY[1]}",
        "nats",
        _smoothing_raises_nll,
    ),
    _claim(
        6,
        "A temperature above 1 raises the baseline's BLEU a little, not to the smoothed model's",
        "Fig. 4 left",
        "only drawn",
        "BLEU",
        _temperature_raises_bleu_a_little,
    ),
    _claim(
        7,
        "For the smoothed model any T other than 1 hurts BLEU and ECE",
        "Fig. 4 centre",
        "only drawn",
        "BLEU or ECE",
        _any_temperature_hurts_the_smoothed,
    ),
    _claim(
        8,
        "The temperature of least ECE predicts that of best BLEU better than least NLL does",
        "section 3",
        "slightly better",
        "BLEU",
        _ece_predicts_bleu,
    ),
    _claim(9, "Beam ECE is worse than forced ECE", "Wang et al. 2020", "not in this paper", "ECE", _beam_ece_is_worse),
    _claim(
        10,
        "Smoothing makes wide beams shorter",
        "Liang et al. 2022",
        "not in this paper",
        "length ratio",
        _smoothing_shortens_wide_beams,
    ),
)
