"""BLEU, chrF and TER of a corpus from sacrebleu's statistics of its sentences, which add up."""

from __future__ import annotations

from typing import Any

import numpy as np
import sacrebleu

Statistics = dict[str, np.ndarray]


class Scorer:
    """sacrebleu's metrics on detokenised text: BLEU cased and uncased, chrF, and TER (cased)."""

    def __init__(self) -> None:
        self._metrics: dict[str, Any] = {
            "bleu": sacrebleu.BLEU(),
            "bleu_uncased": sacrebleu.BLEU(lowercase=True),
            "chrf": sacrebleu.CHRF(),
            "ter": sacrebleu.TER(case_sensitive=True),
        }

    def statistics(self, text: str, reference: str) -> Statistics:
        """What one sentence adds to each metric."""
        return {
            name: np.array(metric._extract_corpus_statistics([text], [[reference]])[0], dtype=float)
            for name, metric in self._metrics.items()
        }

    def scores(self, total: Statistics) -> dict[str, Any]:
        """The fields of a record from the sum of statistics: a score and sacrebleu's signature for each metric, and the
        ratio of the lengths of hypotheses and references in BLEU's tokens."""
        fields: dict[str, Any] = {}
        for name, metric in self._metrics.items():
            # BLEU and chrF count whole things and index by them.
            whole = [int(value) if float(value).is_integer() else float(value) for value in total[name]]
            fields[name] = {
                "score": metric._compute_score_from_stats(whole).score,
                "signature": str(metric.get_signature()),
            }
        hypothesis_length, reference_length = total["bleu"][:2]
        return {**fields, "length_ratio": float(hypothesis_length / reference_length)}
