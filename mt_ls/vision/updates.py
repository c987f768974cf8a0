"""Updates of a network, one batch after the other: eagerly, or as repetitions of one recorded update (a CUDA graph).

A GPU waits for Python between the many small kernels of an update. A recorded update runs them without Python, and it
waits for nothing from the host: it reads its batch, and writes its loss, at the place of a counter on the device.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple, Protocol

import torch

WARM_UP = 3
"""Updates of a batch's shape that run eagerly before one is recorded: libraries choose and allocate in the first."""


class Batch(NamedTuple):
    """The numbers of an update: inputs ``x`` (B, C, H, W), ``labels`` (B,), the learning rate's ``factor`` (), and the
    teacher's logits ``taught`` (B, K), (B, 0) without a teacher. A block of n batches has one more dimension in
    front."""

    x: torch.Tensor
    labels: torch.Tensor
    factor: torch.Tensor
    taught: torch.Tensor

    def at(self, places: int | slice) -> Batch:
        """The batch, or the batches, at ``places`` of a block."""
        return Batch(*(values[places] for values in self))


Update = Callable[[Batch], torch.Tensor]
"""Makes one update on a batch and returns its mean loss (), on the batch's device."""


class Recorder(Protocol):
    """Records work on a device, to be repeated."""

    def stream(self) -> AbstractContextManager[None]:
        """The place where eager updates, recordings and repetitions run in their order."""

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """A function that repeats the ``work`` on the device. Recording does not do it."""


class CudaRecorder:
    """Records CUDA graphs, on a stream of their own as they require. They share memory: one runs at a time.

    cuDNN tries its convolutions in the eager updates, and the recorded ones take the fastest.
    """

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device)
        self._pool = torch.cuda.graph_pool_handle()

    @contextmanager
    def stream(self) -> Iterator[None]:
        """The graphs' stream, after all earlier work and before all later work of the caller's stream."""
        callers = torch.cuda.current_stream(self._stream.device)
        tries = torch.backends.cudnn.benchmark
        self._stream.wait_stream(callers)
        torch.backends.cudnn.benchmark = True
        try:
            with torch.cuda.stream(self._stream):
                yield
        finally:
            torch.backends.cudnn.benchmark = tries
        callers.wait_stream(self._stream)

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """The replay of a CUDA graph of the ``work``."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
            work()
        return graph.replay


class Updates:
    """Makes an update on each batch of a block, of at most ``capacity`` batches.

    Without a recorder every update is eager. With one, the first `WARM_UP` batches of a shape are, and later ones
    repeat a recorded update: the same work on the same numbers.
    """

    def __init__(self, update: Update, capacity: int, recorder: Recorder | None = None) -> None:
        self._update = update
        self._capacity = capacity
        self._recorder = recorder
        self._n_eager: Counter[torch.Size] = Counter()
        self._recorded: dict[torch.Size, _Recorded] = {}

    def __call__(self, block: Batch) -> torch.Tensor:
        """The mean losses (n,) of updates on a block of n batches, on its device."""
        if self._recorder is None:
            return self._eager(block)
        shape, n = block.x.shape[1:], len(block.x)
        n_eager = min(n, WARM_UP - self._n_eager[shape])
        self._n_eager[shape] += n_eager
        losses = []
        with self._recorder.stream():
            if n_eager:
                losses.append(self._eager(block.at(slice(n_eager))))
            if n_eager < n:
                if shape not in self._recorded:
                    self._recorded[shape] = _Recorded(self._update, block, self._capacity, self._recorder)
                losses.append(self._recorded[shape](block.at(slice(n_eager, None))))
            return torch.cat(losses)

    def _eager(self, block: Batch) -> torch.Tensor:
        return torch.stack([self._update(block.at(i)) for i in range(len(block.x))])


class _Recorded:
    """One recorded update, and the memory that it reads batches from and writes losses to."""

    def __init__(self, update: Update, block: Batch, capacity: int, recorder: Recorder) -> None:
        self._fields = [values.new_empty(capacity, *values.shape[1:]) for values in _channels_last(block)]
        self._place = torch.zeros(1, dtype=torch.long, device=block.x.device)
        self._losses = torch.zeros(capacity, device=block.x.device)

        def work() -> None:
            x, *others = (field.index_select(0, self._place)[0] for field in self._fields)
            loss = update(Batch(x.movedim(-1, 1), *others))
            self._losses.index_copy_(0, self._place, loss.view(1))
            self._place.add_(1)

        self._repeat = recorder.record(work)

    def __call__(self, block: Batch) -> torch.Tensor:
        n = len(block.x)
        for field, values in zip(self._fields, _channels_last(block), strict=True):
            field[:n].copy_(values)
        self._place.zero_()
        for _ in range(n):
            self._repeat()
        return self._losses[:n].clone()


def _channels_last(block: Batch) -> Batch:
    """The block with x (n, B, H, W, C): convolutions are faster where a pixel's channels lie together in memory."""
    return block._replace(x=block.x.movedim(2, -1))
