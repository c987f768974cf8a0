"""One SentencePiece model for both languages."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import sentencepiece

from . import DataError


def train(sentences: Iterable[str], vocab_size: int, model: Path, model_type: str = "unigram") -> None:
    """Train a model of a ``model_type`` ("unigram" or "word") on both languages' sentences and write it to ``model``.

    It uses one thread, so that the same text gives the same file. The sentences are held in memory. Raises DataError
    when the text has too few pieces for ``vocab_size``.
    """
    buffer = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences),
            model_writer=buffer,
            vocab_size=vocab_size,
            model_type=model_type,
            hard_vocab_limit=model_type != "word",
            character_coverage=1.0,
            num_threads=1,
            max_sentence_length=100_000,
            minloglevel=2,
        )
    except RuntimeError as error:
        reason = str(error).split("] ")[-1].strip()
        raise DataError(f"SentencePiece with --vocab-size {vocab_size} failed: {reason or error}") from None
    model.write_bytes(buffer.getvalue())


def encode(lines: Iterable[str], model: Path) -> Iterator[str]:
    """The pieces of each line, joined by spaces."""
    processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
    remaining = iter(lines)
    while batch := list(itertools.islice(remaining, 10_000)):
        yield from (" ".join(pieces) for pieces in processor.encode(batch, out_type=str))
