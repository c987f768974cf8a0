"""The file of ``--calibration-records``: one JSON line a hypothesis."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from pathlib import Path
from typing import Any

import torch

from ..calibration.alignment import align_ids
from ..calibration.bins import Bins
from ..calibration.generated import GeneratedTokens
from ..records import written_whole
from .hypotheses import TokenProbabilities

logger = logging.getLogger(__name__)


_open_files: list[HypothesisFile] = []


def write_open_files() -> None:
    """Write the files of sentences that have come one by one, when no more come."""
    while _open_files:
        _open_files.pop().write()


def check_writable(path: str) -> None:
    """Raise ValueError where no file can be written at ``path``, or where another than a regular one is there."""
    place = Path(path)
    try:
        if place.exists() and not place.is_file():
            raise OSError("it is a folder" if place.is_dir() else "it is no regular file")
        if place.exists() and not os.access(place, os.W_OK):
            raise OSError("it is read-only")
        if not place.parent.is_dir():
            raise OSError(f"there is no folder {place.parent}")
        with tempfile.NamedTemporaryFile(dir=place.parent, prefix=f".{place.name}"):
            pass
    except OSError as error:
        raise ValueError(f"--calibration-records {path} cannot be written: {error.strerror or error}") from None


class HypothesisFile:
    """Collects hypotheses, a batch at a time, and writes the file when it has all sentences.

    These are ``n_sentences``, or without that number all until `write_open_files`. A line holds the sentence's id, the
    rank, the temperature, the tokens and their probabilities; with a reference also which tokens are hits and which are
    kept. Beam ECE of the best hypotheses goes into the log.
    """

    def __init__(self, path: str, dictionary: Any, n_sentences: int | None = None) -> None:
        self._path, self._dictionary, self._n_sentences = path, dictionary, n_sentences
        self._lines: dict[int, list[str]] = {}
        self._best: list[GeneratedTokens] = []
        if n_sentences is None:
            _open_files.append(self)

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
                fields = {"id": sentence, "rank": rank, "temperature": temperature}
                fields |= self._fields(hypothesis, values, target, rank)
                self._lines[sentence].append(json.dumps(fields, ensure_ascii=False))
        if len(self._lines) == self._n_sentences:
            self.write()
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

    def write(self) -> None:
        """Write the file, and log what is in it."""
        with written_whole(self._path) as path, open(path, "w", encoding="utf-8") as file:
            for sentence in sorted(self._lines):
                file.writelines(f"{line}\n" for line in self._lines[sentence])
        logger.info(f"calibration of {len(self._lines)} sentences written to {self._path}")
        self._log_beam_ece()

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
