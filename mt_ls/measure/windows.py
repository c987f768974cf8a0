"""Windows of consecutive sentences: memory does not grow with the corpus, and workers share the batches of a window."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import NamedTuple

from .protocol import MeasureError, TranslationModel
from .workers import ALONE, Workers

WINDOW_SENTENCES = 4096
_REGROUPED_BATCH = 24


class Window(NamedTuple):
    """``n`` sentences from number ``first`` on, and the batches of them that this worker computes."""

    first: int
    n: int
    batches: list[list[int]]

    def check_whole(self, sentences: Iterable[int]) -> None:
        """Raise MeasureError unless the ascending ``sentences`` are all those of the window."""
        measured = list(sentences)
        if measured != list(range(self.first, self.first + self.n)):
            raise MeasureError(
                f"of sentences {self.first} to {self.first + self.n - 1} {len(measured)} were measured, "
                f"and not all {self.n}"
            )


def windows(model: TranslationModel, split: str, workers: Workers = ALONE) -> Iterator[Window]:
    """Every sentence of a split once, in order, a window at a time, with this worker's share of the batches.

    Batches are cut where they are fewer than the workers, as large batches for a GPU can be.
    """
    n = model.n_sentences(split)
    for first in range(0, n, WINDOW_SENTENCES):
        sentences = range(first, min(first + WINDOW_SENTENCES, n))
        batches = model.batches(split, sentences)
        if len(batches) < workers.n:
            parts = (batch[number :: workers.n] for batch in batches for number in range(workers.n))
            batches = [part for part in parts if part]
        yield Window(first, len(sentences), workers.share(batches))


def regrouped(batches: list[list[int]], chosen: Container[int]) -> list[list[int]]:
    """New batches of the ``chosen`` sentences of ``batches``, in their order.

    A step of a search costs nearly the same for a few sentences as for one, so the new batches are filled.
    """
    sentences = [sentence for batch in batches for sentence in batch if sentence in chosen]
    return [sentences[start : start + _REGROUPED_BATCH] for start in range(0, len(sentences), _REGROUPED_BATCH)]
