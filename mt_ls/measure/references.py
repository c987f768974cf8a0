"""Hypotheses compared with their references: in this process, or in others while a device searches."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from typing import Any, NamedTuple

import torch

from ..calibration.alignment import align_ids
from ..calibration.scores import Scorer, Statistics
from .protocol import MeasureError, TranslationModel

_REMEMBERED = 2**13
"""Hypotheses whose comparison is remembered: most are the same at the next temperature."""
_TOGETHER = 64
"""Comparisons that go to another process together, so that sending them costs little beside them."""
_MOST_PROCESSES = 16


class Pair(NamedTuple):
    """A hypothesis and its reference, each as token ids (of the reference without EOS) and as text."""

    ids: tuple[int, ...]
    target: list[int]
    text: str
    reference: str


class Comparison(NamedTuple):
    """A hypothesis compared with its reference: its text, flags of its tokens, its part of the scores, and its chrF.

    ``hit`` and ``kept`` are those of `Alignment`.
    """

    text: str
    hit: list[bool]
    kept: list[bool]
    statistics: Statistics
    chrf: float


def compared(pairs: Sequence[Pair], eos: int) -> list[Comparison]:
    """The comparison of each pair."""
    scorer = _scorer()
    comparisons = []
    for pair in pairs:
        statistics = scorer.statistics(pair.text, pair.reference)
        flags = align_ids(pair.ids, pair.target, eos)
        comparisons.append(Comparison(pair.text, *flags, statistics, scorer.chrf(statistics)))
    return comparisons


_scorer = functools.cache(Scorer)


class References:
    """The references of a split. ``pool`` are the processes that compare; without one this process does.

    ``compare(sentence, *ids)`` starts the comparison of a sentence's hypothesis, given by its token ids, and returns
    its Future. The last ones start with `flush`.
    """

    def __init__(self, model: TranslationModel, split: str, pool: Executor | None = None) -> None:
        self._model = model
        self._split = split
        self._pool = pool
        self._text = model.references(split)
        self._waiting: list[tuple[Future[Comparison], Pair]] = []
        self.compare = functools.lru_cache(_REMEMBERED)(self._compare)

    def _compare(self, sentence: int, *ids: int) -> Future[Comparison]:
        model = self._model
        target = model.target(self._split, sentence)
        pair = Pair(ids, target, model.text_of(torch.tensor(ids)), self._text[sentence])
        future: Future[Comparison] = Future()
        self._waiting.append((future, pair))
        if self._pool is None or len(self._waiting) == _TOGETHER:
            self.flush()
        return future

    def flush(self) -> None:
        """Start the comparisons that wait for others to go with."""
        if not self._waiting:
            return
        futures, pairs = zip(*self._waiting, strict=True)
        self._waiting = []
        if self._pool is None:
            _distribute(futures, compared(pairs, self._model.eos))
            return
        try:
            started = self._pool.submit(compared, pairs, self._model.eos)
        except BrokenProcessPool:
            raise _ended() from None
        started.add_done_callback(functools.partial(_arrived, futures))

    @staticmethod
    def result(comparison: Future[Comparison]) -> Comparison:
        """The comparison, when it has ended. Raises MeasureError if its process was ended."""
        try:
            return comparison.result()
        except BrokenProcessPool:
            raise _ended() from None

    def scores(self, total: Statistics) -> dict[str, Any]:
        """The scores of a record (see `Scorer.scores`)."""
        return _scorer().scores(total)


def _ended() -> MeasureError:
    return MeasureError("a process that scores translations was ended, as by lack of memory; start the command again")


def _arrived(futures: Sequence[Future[Comparison]], started: Future[list[Comparison]]) -> None:
    """Give each of ``futures`` its part of the result."""
    if started.cancelled():
        for future in futures:
            future.cancel()
    elif error := started.exception():
        for future in futures:
            future.set_exception(error)
    else:
        _distribute(futures, started.result())


def _distribute(futures: Sequence[Future[Comparison]], comparisons: list[Comparison]) -> None:
    for future, comparison in zip(futures, comparisons, strict=True):
        future.set_result(comparison)


@contextlib.contextmanager
def scoring_processes() -> Iterator[Executor]:
    """Processes for `References`, one a core but this process's own; they end with the block and with this process.

    Enter before this process starts CUDA and threads: the processes are its forks, which need no import of their own.
    """
    cores = len(os.sched_getaffinity(0)) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    n = max(1, min(_MOST_PROCESSES, cores - 1))
    pool = ProcessPoolExecutor(n, multiprocessing.get_context("fork"), _end_with_the_parent)
    try:
        pool.submit(os.getpid).result()  # the first task starts all processes
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_the_parent() -> None:
    """Leave Ctrl-C to the parent, and end when it ends, however that happens."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
