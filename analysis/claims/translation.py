"""The claims about translation: the paper's sections 1 and 3, and two of its critics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import rows as table
from ..rows import Row, select
from .rule import ABOUT_THE_SAME, Claim, Finding, Missing, Parts, judge

_RECORDED: dict[str, Callable[[Any], float]] = {
    "ece": lambda record: record.bins.ece(),
    "nll": lambda record: record.nll,
    "bleu": lambda record: record.bleu["score"],
}


class Panel:
    """The quantities of a grid of runs on one split, as (seeds, draws + 1) vectors over the training seeds for which
    every alpha in ``alphas`` is measured on valid and test. Without draws they are the records' own values, and need
    no arrays."""

    def __init__(self, rows: Sequence[Row], split: str, draws: int, alphas: Sequence[float] = (0.0, 0.1)) -> None:
        self._measured: dict[tuple[Any, ...], list[Row]] = {}
        self._known: dict[tuple[Any, ...], np.ndarray] = {}
        self._draws = draws
        self._split = split
        self._alphas = alphas
        runs: set[tuple[str, float | None, int | None]] = set()
        for row in [*select(rows, mode="forced"), *select(rows, mode="beam")]:
            record = row.record
            runs.add((record.split, record.alpha, record.seed))
            if record.split == split:
                self._measured.setdefault((record.mode, record.beam, record.alpha, record.seed), []).append(row)
        # A run that is not yet measured on both splits does not count on either.
        seeds = [{seed for on, of, seed in runs if (on, of) == (s, a)} for s in ("valid", "test") for a in alphas]
        self.seeds = sorted(seed for seed in set.intersection(*seeds) if seed is not None)
        if not self.seeds:
            named = " and ".join(f"{alpha:g}" for alpha in alphas)
            raise Missing(f"runs of alpha {named} with the same seed on valid and test")

    def __call__(
        self, quantity: str, alpha: float, temperature: float | str = 1.0, beam: int | None = None
    ) -> np.ndarray:
        """``quantity`` (a function of `significance`) at a temperature, or "fitted"; in forced mode without a beam."""
        wanted = (quantity, alpha, temperature, beam)
        if wanted not in self._known:
            self._known[wanted] = np.stack([self._of_run(seed, *wanted) for seed in self.seeds])
        return self._known[wanted]

    def _of_run(self, seed: int, quantity: str, alpha: float, temperature: float | str, beam: int | None) -> np.ndarray:
        mode = _mode(beam)
        rows = self._measured.get((mode, beam, alpha, seed), [])
        rows = table.at_fitted(rows) if temperature == "fitted" else select(rows, temperature=temperature)
        what = f"{self._split}, alpha {alpha:g}, seed {seed}, {mode}{beam or ''}, T {temperature}"
        if not rows:
            raise Missing(what)
        if not self._draws:
            return np.array([_RECORDED[quantity](rows[-1].record)])
        values = table.resampled(rows[-1], quantity, self._draws)
        if values is None:
            raise Missing(f"{what}: its {' and '.join(table.ARRAYS.get(quantity, ('sentence_bins',)))}")
        return values

    def temperatures(self, beam: int | None = None) -> list[float]:
        """Those that every run was measured at."""
        cells = [(_mode(beam), beam, alpha, seed) for alpha in self._alphas for seed in self.seeds]
        measured = [{row.record.temperature for row in self._measured.get(cell, [])} for cell in cells]
        found = sorted(set.intersection(*measured))
        if len(found) < 2:
            raise Missing(f"{self._split}: {_mode(beam)} at several temperatures")
        return found


def _mode(beam: int | None) -> str:
    return "forced" if beam is None else "beam"


BEAM = 5


def _overconfident(test: Panel, valid: Panel) -> Parts:
    return {"confidence - accuracy": test("overconfidence", 0.0)}


def _smoothing_calibrates(test: Panel, valid: Panel) -> Parts:
    return {"ECE(0) - ECE(0.1)": test("ece", 0.0) - test("ece", 0.1)}


def _temperature_calibrates(test: Panel, valid: Panel) -> Parts:
    scaled = test("ece", 0.0, "fitted")
    difference = scaled - test("ece", 0.1)
    return {
        "ECE(0) - ECE(0, fitted T)": test("ece", 0.0) - scaled,
        f"{ABOUT_THE_SAME} - (ECE(0, fitted T) - ECE(0.1))": ABOUT_THE_SAME - difference,
        f"{ABOUT_THE_SAME} + (ECE(0, fitted T) - ECE(0.1))": ABOUT_THE_SAME + difference,
    }


def _smoothing_raises_bleu(test: Panel, valid: Panel) -> Parts:
    return {"BLEU(0.1) - BLEU(0)": test("bleu", 0.1, beam=BEAM) - test("bleu", 0.0, beam=BEAM)}


def _smoothing_raises_nll(test: Panel, valid: Panel) -> Parts:
    return {f"NLL(0.1) - NLL(0) at T = {t:g}": test("nll", 0.1, t) - test("nll", 0.0, t) for t in test.temperatures()}


def _temperature_raises_bleu_a_little(test: Panel, valid: Panel) -> Parts:
    above = [t for t in valid.temperatures(BEAM) if t > 1]
    if not above:
        raise Missing("beam searches at a temperature above 1")
    best = max(above, key=lambda t: valid("bleu", 0.0, t, BEAM)[:, 0].mean())
    scaled = test("bleu", 0.0, best, BEAM)
    return {
        f"BLEU(0, T = {best:g}) - BLEU(0)": scaled - test("bleu", 0.0, beam=BEAM),
        f"BLEU(0.1) - BLEU(0, T = {best:g})": test("bleu", 0.1, beam=BEAM) - scaled,
    }


def _any_temperature_hurts_the_smoothed(test: Panel, valid: Panel) -> Parts:
    bleu, ece = test("bleu", 0.1, beam=BEAM), test("ece", 0.1)
    others = [t for t in test.temperatures(BEAM) if t != 1]
    return {
        **{f"BLEU(0.1) - BLEU(0.1, T = {t:g})": bleu - test("bleu", 0.1, t, BEAM) for t in others},
        **{f"ECE(0.1, T = {t:g}) - ECE(0.1)": test("ece", 0.1, t) - ece for t in others},
    }


def _ece_predicts_bleu(test: Panel, valid: Panel) -> Parts:
    """BLEU on test at the temperature of least ECE on valid, less that at the one of least NLL; each run chooses its
    own, of the temperatures that were searched at. The mean over both amounts of smoothing."""
    grid = test.temperatures(BEAM)
    gains = []
    for alpha in (0.0, 0.1):
        bleu = np.stack([test("bleu", alpha, t, BEAM) for t in grid])
        chosen = {
            quantity: np.argmin([valid(quantity, alpha, t)[:, 0] for t in grid], axis=0) for quantity in ("ece", "nll")
        }
        runs = np.arange(bleu.shape[1])
        gains.append(bleu[chosen["ece"], runs] - bleu[chosen["nll"], runs])
    return {"BLEU(T of least ECE) - BLEU(T of least NLL)": np.mean(gains, axis=0)}


def _beam_ece_is_worse(test: Panel, valid: Panel) -> Parts:
    return {
        f"beam ECE({alpha:g}) - forced ECE({alpha:g})": test("ece", alpha, beam=BEAM) - test("ece", alpha)
        for alpha in (0.0, 0.1)
    }


def _smoothing_shortens_wide_beams(test: Panel, valid: Panel) -> Parts:
    lost = {alpha: test("length_ratio", alpha, beam=BEAM) - test("length_ratio", alpha, beam=50) for alpha in (0, 0.1)}
    return {"length lost from beam 5 to 50, (0.1) - (0)": lost[0.1] - lost[0]}


CLAIMS = (
    Claim(
        1,
        "Without smoothing the Transformer is over-confident on next tokens",
        "Fig. 3",
        "only drawn",
        "probability",
        _overconfident,
    ),
    Claim(2, "Smoothing 0.1 lowers forced ECE", "Table 3", "0.056 to 0.019", "ECE", _smoothing_calibrates),
    Claim(
        3,
        "A fitted temperature lowers the baseline's ECE to about the same level",
        "Table 3",
        "0.018 and 0.019",
        "ECE",
        _temperature_calibrates,
    ),
    Claim(4, "Smoothing raises BLEU at T = 1", "Table 1, Fig. 4", "25.3 to 25.8", "BLEU", _smoothing_raises_bleu),
    Claim(
        5,
        "Smoothing raises NLL, and at every temperature",
        "Table 1, Fig. 4 right",
        "perplexity 4.67 to 4.92",
        "nats",
        _smoothing_raises_nll,
    ),
    Claim(
        6,
        "A temperature above 1 raises the baseline's BLEU a little, not to the smoothed model's",
        "Fig. 4 left",
        "only drawn",
        "BLEU",
        _temperature_raises_bleu_a_little,
    ),
    Claim(
        7,
        "For the smoothed model any T other than 1 hurts BLEU and ECE",
        "Fig. 4 centre",
        "only drawn",
        "BLEU or ECE",
        _any_temperature_hurts_the_smoothed,
    ),
    Claim(
        8,
        "The temperature of least ECE predicts that of best BLEU better than least NLL does",
        "section 3",
        "slightly better",
        "BLEU",
        _ece_predicts_bleu,
    ),
    Claim(9, "Beam ECE is worse than forced ECE", "Wang et al. 2020", "not in this paper", "ECE", _beam_ece_is_worse),
    Claim(
        10,
        "Smoothing makes wide beams shorter",
        "Liang et al. 2022",
        "not in this paper",
        "length ratio",
        _smoothing_shortens_wide_beams,
    ),
)


def findings(rows: Sequence[Row], draws: int) -> list[Finding]:
    """The verdict on every claim, from records of one corpus."""
    try:
        test, valid = Panel(rows, "test", draws), Panel(rows, "valid", 0)
    except Missing as missing:
        return [Finding(claim, "not measured", why=str(missing)) for claim in CLAIMS]
    return [judge(claim, test, valid) for claim in CLAIMS]
