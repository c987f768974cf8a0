"""The quantities that tables, figures, the slider and claims show, one object each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from mt_ls.calibration.bins import Bins
from mt_ls.records import Record
from mt_ls.records.items import Items

from . import significance
from .rows import Row, load, mean
from .significance import per_prediction, weighted_sums

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Quantity:
    """A number of a record. ``better`` is +1 if more of it is better, -1 if less, 0 if neither.

    ``of_record`` gives its value, None where it was not measured. ``of_items`` gives it on resamples (draws + 1, N) of
    the record's items, from the fields of `Items` that ``needs`` names. Where it ``is_absolute``, as ECE is, these are
    signed parts (draws + 1, B), and the quantity is the sum of their absolute values.
    """

    name: str
    title: str
    digits: int
    better: int
    of_record: Callable[[Record], float | None]
    needs: tuple[str, ...] = ()
    of_items: Callable[..., np.ndarray] | None = None
    is_absolute: bool = False

    def text(self, value: float | None, digits: int | None = None) -> str:
        """The value with its digits, or an empty cell."""
        return number(value, self.digits if digits is None else digits)

    def mean(self, rows: Sequence[Row]) -> float | None:
        """The mean over rows of what was measured, or None."""
        return mean(self.of_record(row.record) for row in rows)

    def value(self, row: Row) -> float | None:
        """The value of a row: of its record, or else of its items; None where it was not measured."""
        value = self.of_record(row.record)
        if value is not None or self.of_items is None:
            return value
        vector = self._of_row(row, draws=0)
        return None if vector is None else float(vector[0])

    def resampled(self, row: Row, draws: int = significance.DRAWS) -> np.ndarray | None:
        """The vector (draws + 1,) of the row: the quantity on its items as they are, and on resamples of them.

        The first value of an absolute quantity is without its bias (see `significance.absolute_sums`), and so is less
        than that of the record. None where the items were not kept.
        """
        values = self._of_row(row, draws)
        return significance.absolute_sums(values) if values is not None and self.is_absolute else values

    def _of_row(self, row: Row, draws: int) -> np.ndarray | None:
        columns = self._columns(row.items)
        if columns is None or self.of_items is None:
            return None
        return self.of_items(*columns, significance.resamples(len(columns[0]), draws))

    def _columns(self, items: Items | None) -> list[Any] | None:
        columns = [] if items is None else [getattr(items, name) for name in self.needs]
        return columns if columns and all(column is not None for column in columns) else None

    def interval(self, rows: Sequence[Row]) -> tuple[float, float] | None:
        """The 95 % interval of the mean over runs, by items and training seeds; of one run by its items alone.

        None for no run, or where items were not kept.
        """
        values = [self._of_row(row, significance.DRAWS) for row in rows]
        known = [value for value in values if value is not None]
        if not known or len(known) < len(values):
            return None
        if self.is_absolute:
            return significance.absolute_interval(np.stack(known))
        if len(known) == 1:
            return significance.percentile_interval(known[0])
        return significance.estimate(np.stack(known)).interval()


def number(value: float | None, digits: int) -> str:
    """A number with so many decimals, or an empty cell."""
    return "" if value is None else f"{value:.{digits}f}"


def trace_ratio(geometry: Mapping[str, Any]) -> float | None:
    """The variance within classes over that between them, None where either is not measured."""
    within, between = geometry.get("variance_within"), geometry.get("variance_between")
    return within / between if within is not None and between else None


def _gaps(bins: np.ndarray, weights: np.ndarray) -> np.ndarray:
    count, confidence, hits = np.moveaxis(bins, 1, 0)
    return per_prediction(hits - confidence, count.sum(-1), weights)


def _over(bins: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return -_gaps(bins, weights).clip(max=0).sum(-1)


def _under(bins: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return _gaps(bins, weights).clip(min=0).sum(-1)


def _overconfidence(bins: np.ndarray, weights: np.ndarray) -> np.ndarray:
    count, confidence, hits = np.moveaxis(bins, 1, 0)
    return per_prediction((confidence - hits).sum(-1), count.sum(-1), weights)[:, 0]


def _accuracy(bins: np.ndarray, weights: np.ndarray) -> np.ndarray:
    count, _, hits = np.moveaxis(bins, 1, 0)
    return per_prediction(hits.sum(-1), count.sum(-1), weights)[:, 0]


def _nll(nll: np.ndarray, n: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return per_prediction(nll, n, weights)[:, 0]


def _length_ratio(bleu: np.ndarray, weights: np.ndarray) -> np.ndarray:
    total = weighted_sums(bleu, weights)
    return total[:, 0] / total[:, 1]


def _bleu(bleu: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Corpus BLEU (Papineni et al. 2002) from sacrebleu's (N, 10) statistics: lengths of hypothesis and reference,
    matches and counts of the four n-grams; sacrebleu's "exp" smoothing for orders without a match."""
    total = weighted_sums(bleu, weights)
    hypothesis, reference = total[:, 0], total[:, 1]
    return _precision(total) * np.exp(np.minimum(0.0, 1 - reference / np.maximum(hypothesis, 1)))


def corpus_bleu(bleu: np.ndarray) -> float:
    """Corpus BLEU of sacrebleu's statistics (N, 10) of sentences."""
    return float(_bleu(bleu, np.ones((1, len(bleu))))[0])


def sentence_bleu(bleu: np.ndarray) -> np.ndarray:
    """BLEU (N,) of single sentences, 0 to 100, from their statistics (N, 10), as sacrebleu's ``sentence_bleu`` has it:
    smoothed, of the orders that the hypothesis has n-grams of."""
    hypothesis, reference, matches, count = bleu[:, 0], bleu[:, 1], bleu[:, 2:6], bleu[:, 6:10]
    has = count > 0
    logs = np.where(has, np.log(_smoothed(matches) / np.maximum(count, 1)), 0.0).sum(axis=1)
    score = 100 * np.exp(
        logs / np.maximum(has.sum(axis=1), 1) + np.minimum(0.0, 1 - reference / np.maximum(hypothesis, 1))
    )
    return np.where(matches.any(axis=1), score, 0.0)


def _bleu_without_brevity(bleu: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return _precision(weighted_sums(bleu, weights))


def _precision(total: np.ndarray) -> np.ndarray:
    """100 times the geometric mean (draws,) of the precisions of n-grams, of sums (draws, 10)."""
    matches, count = total[:, 2:6], total[:, 6:10]
    some = (count > 0).all(axis=1) & (matches.sum(axis=1) > 0)
    return np.where(some, 100 * np.exp(np.log(_smoothed(matches) / np.maximum(count, 1)).mean(axis=1)), 0.0)


def _smoothed(matches: np.ndarray) -> np.ndarray:
    """Matches (N, 4) where an order without a match has half as many as the one before it without: "exp" smoothing."""
    return np.where(matches > 0, matches, 0.5 ** np.cumsum(matches == 0, axis=1))


def _score(name: str) -> Callable[[Record], float | None]:
    """The score of a record's translations by this metric."""

    def score(record: Record) -> float | None:
        of_metric = getattr(record, name)
        return None if of_metric is None else float(of_metric["score"])

    return score


def _score_without_brevity(record: Record) -> float | None:
    """BLEU over its brevity penalty, which follows from the ratio of the lengths."""
    score, ratio = _score("bleu")(record), record.length_ratio
    return None if score is None or not ratio else score / math.exp(min(0.0, 1 - 1 / ratio))


def _without_eos(record: Record) -> float | None:
    others = (record.bins_by_class or {}).get("others")
    return others.ece() if others is not None and others.n else None


ECE = Quantity("ece", "ECE", 4, -1, lambda record: record.bins.ece(), ("bins",), _gaps, is_absolute=True)
NLL = Quantity("nll", "NLL, nats", 3, -1, lambda record: record.nll, ("nll", "n"), _nll)
PERPLEXITY = Quantity("perplexity", "perplexity", 2, -1, lambda record: record.perplexity)
ACCURACY = Quantity("accuracy", "accuracy", 3, 1, lambda record: record.accuracy, ("bins",), _accuracy)
CONFIDENCE = Quantity("confidence", "confidence", 3, 0, lambda record: record.bins.mean_confidence)
OVERCONFIDENCE = Quantity(
    "overconfidence",
    "confidence - accuracy",
    4,
    0,
    lambda record: record.bins.mean_confidence - record.bins.accuracy,
    ("bins",),
    _overconfidence,
)
OVER = Quantity("over", "over", 4, -1, lambda record: record.bins.over(), ("bins",), _over)
UNDER = Quantity("under", "under", 4, -1, lambda record: record.bins.under(), ("bins",), _under)
SMOOTH_ECE = Quantity("smooth_ece", "SmoothECE", 4, -1, lambda record: record.smooth_ece)
ECE_WITHOUT_EOS = Quantity("ece_without_eos", "without EOS", 4, -1, _without_eos)
ECE_OF_ALL_CLASSES = Quantity(
    "ece_of_all_classes",
    "all classes",
    4,
    -1,
    lambda record: None if record.bins_full is None else record.bins_full.ece(),
)
BRIER = Quantity("brier", "Brier", 4, -1, lambda record: record.brier)
ECE_EQUAL_MASS = Quantity(
    "ece_equal_mass",
    "ECE, equal mass",
    4,
    -1,
    lambda record: None if record.bins_equal_mass is None else record.bins_equal_mass.ece(),
)
ECE_DEBIASED = Quantity("ece_debiased", "debiased, L2", 4, -1, lambda record: record.bins.ece2_debiased())
MCE = Quantity("mce", "greatest gap", 3, -1, lambda record: record.bins.mce())
BLEU = Quantity("bleu", "BLEU", 1, 1, _score("bleu"), ("bleu",), _bleu)
BLEU_WITHOUT_BREVITY = Quantity(
    "bleu_without_brevity", "BLEU without brevity", 1, 1, _score_without_brevity, ("bleu",), _bleu_without_brevity
)
CHRF = Quantity("chrf_score", "chrF", 1, 1, _score("chrf"))
TER = Quantity("ter_score", "TER", 1, -1, _score("ter"))
LENGTH_RATIO = Quantity("length_ratio", "length", 3, 0, lambda record: record.length_ratio, ("bleu",), _length_ratio)
FITTED_TEMPERATURE = Quantity("fitted_temperature", "fitted T", 2, 0, lambda record: record.fitted_temperature)
LOG_TEMPERATURE = Quantity(
    "log_temperature",
    "log of the fitted T",
    3,
    0,
    lambda record: None if record.fitted_temperature is None else math.log(record.fitted_temperature),
)

QUANTITIES = (
    ECE,
    NLL,
    PERPLEXITY,
    ACCURACY,
    CONFIDENCE,
    OVERCONFIDENCE,
    OVER,
    UNDER,
    SMOOTH_ECE,
    ECE_WITHOUT_EOS,
    ECE_OF_ALL_CLASSES,
    BRIER,
    ECE_EQUAL_MASS,
    ECE_DEBIASED,
    MCE,
    BLEU,
    BLEU_WITHOUT_BREVITY,
    CHRF,
    TER,
    LENGTH_RATIO,
)


def frame(paths: Iterable[str | Path]) -> pandas.DataFrame:
    """Every record of files and folders as a data frame: one row a record, with its fields and every quantity.

    A model's fields are columns such as ``model.corpus`` and ``model.smoothing.amount``. ``name`` is the ``record`` of
    the Parquet files of items.
    """
    import pandas

    records = [row.record for row in load(paths)]
    fields = [
        msgspec.to_builtins(record, enc_hook=Bins.to_json)
        | {quantity.name: quantity.of_record(record) for quantity in QUANTITIES}
        | {"name": record.name, "signature": record.signature}
        for record in records
    ]
    flat = pandas.json_normalize(fields, max_level=0)
    models = pandas.json_normalize([record["model"] for record in fields]).add_prefix("model.")
    return pandas.concat([flat.drop(columns="model"), models], axis=1)
