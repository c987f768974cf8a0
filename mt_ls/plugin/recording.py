"""The file of ``--calibration-records``: one JSON line a hypothesis."""

from __future__ import annotations

import json
import logging
from typing import Any

import torch

from ..calibration.alignment import align_ids
from ..calibration.bins import Bins
from ..calibration.generated import GeneratedTokens
from ..records import written_whole
from .hypotheses import TokenProbabilities

logger = logging.getLogger(__name__)


class HypothesisFile:
    """Collects the hypotheses of a set, a batch at a time, and writes the file when it has all sentences.

    A line holds the sentence's id, the rank, the temperature, the tokens and their probabilities; with a reference also
    which tokens are hits and which are kept. Beam ECE of the best hypotheses goes into the log.
    """

    def __init__(self, path: str, dictionary: Any, n_sentences: int) -> None:
        self._path, self._dictionary, self._n_sentences = path, dictionary, n_sentences
        self._lines: dict[int, list[dict[str, Any]]] = {}
        self._best: list[GeneratedTokens] = []

    def add(
        self,
        sample: dict[str, Any],
        hypotheses: list[list[dict[str, Any]]],
        statistics: list[list[TokenProbabilities]],
        temperature: float,
    ) -> None:
        """Add the ranked hypotheses of each sentence of a batch and their statistics at ``temperature``."""
        for row, sentence in enumerate(sample["id"].tolist()):
            target = sample["target"][row] if sample.get("target") is not None else None
            self._lines[sentence] = []
            for rank, (hypothesis, values) in enumerate(zip(hypotheses[row], statistics[row], strict=True)):
                line = {"id": sentence, "rank": rank, "temperature": temperature}
                self._lines[sentence].append(line | self._fields(hypothesis, values, target, rank))
        if len(self._lines) == self._n_sentences:
            self._write()
            self._log_beam_ece()
            self._lines, self._best = {}, []

    def _fields(
        self, hypothesis: dict[str, Any], values: TokenProbabilities, target: torch.Tensor | None, rank: int
    ) -> dict[str, Any]:
        ids = hypothesis["tokens"].cpu()
        fields: dict[str, Any] = {"tokens": [self._dictionary[token] for token in ids.tolist()]}
        fields |= {name: value.tolist() for name, value in values._asdict().items()}
        if target is not None:
            eos = self._dictionary.eos()
            reference = [token for token in target.tolist() if token not in (self._dictionary.pad(), eos)]
            flags = align_ids(ids.tolist(), reference, eos)
            fields |= flags._asdict()
            if rank == 0:
                hit, kept = torch.tensor(flags.hit), torch.tensor(flags.kept)
                self._best.append(GeneratedTokens(values.probability, hit, kept, ids == eos, torch.zeros_like(ids)))
        return fields

    def _write(self) -> None:
        with written_whole(self._path) as path, open(path, "w", encoding="utf-8") as file:
            for sentence in sorted(self._lines):
                for line in self._lines[sentence]:
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
        logger.info(f"calibration of {len(self._lines)} sentences written to {self._path}")

    def _log_beam_ece(self) -> None:
        if not self._best:
            return
        tokens = GeneratedTokens(*map(torch.cat, zip(*self._best, strict=True)))
        for name, sums in tokens.sums(1).items():
            bins = Bins.from_sums(sums[0])
            logger.info(
                f"beam ECE of {name}: {bins.ece():.4f} (tokens {bins.n}, confidence {bins.mean_confidence:.4f}, "
                f"hits {bins.accuracy:.4f})"
            )
        logger.info(f"tokens left out of beam ECE (shifted): {tokens.n_left_out}")
