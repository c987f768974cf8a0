"""BLEU, chrF and TER of a corpus from sums of sacrebleu's statistics of its sentences."""

from __future__ import annotations

from typing import Any

import numpy as np
import sacrebleu

Statistics = dict[str, np.ndarray]
"""sacrebleu's counts of each metric, of a sentence or summed over sentences."""


class Scorer:
    """sacrebleu's metrics on detokenised text: BLEU cased and uncased, chrF, and TER (cased)."""

    def __init__(self) -> None:
        self._metrics: dict[str, Any] = {
            "bleu": sacrebleu.BLEU(),
            "bleu_uncased": sacrebleu.BLEU(lowercase=True),
            "chrf": sacrebleu.CHRF(),
            "ter": sacrebleu.TER(case_sensitive=True),
        }
        # sacrebleu's signature has the number of references, which a metric knows when it has counted a sentence.
        self.statistics("", "")

    def statistics(self, text: str, reference: str) -> Statistics:
        """Counts of one sentence for each metric."""
        return {
            name: np.array(metric._extract_corpus_statistics([text], [[reference]])[0], dtype=float)
            for name, metric in self._metrics.items()
        }

    def chrf(self, statistics: Statistics) -> float:
        """chrF (0 to 100) of the counts of a sentence."""
        return self._metrics["chrf"]._compute_score_from_stats(statistics["chrf"].astype(int).tolist()).score

    def scores(self, total: Statistics) -> dict[str, Any]:
        """The fields of a record from the sum of statistics over sentences.

        Each metric has its score and sacrebleu's signature. ``length_ratio`` is the length of the hypotheses over that
        of the references, in BLEU's tokens.
        """
        fields: dict[str, Any] = {}
        for name, metric in self._metrics.items():
            # sacrebleu indexes by the counts of BLEU and chrF, which must then be integers.
            whole = [int(value) if float(value).is_integer() else float(value) for value in total[name]]
            fields[name] = {
                "score": metric._compute_score_from_stats(whole).score,
                "signature": str(metric.get_signature()),
            }
        hypothesis_length, reference_length = total["bleu"][:2]
        return {**fields, "length_ratio": float(hypothesis_length / reference_length)}
