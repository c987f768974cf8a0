"""Collated batches of a small corpus, kept for later epochs.

fairseq collates the same batches in Python in every epoch. The collater of sentence pairs draws nothing at random, so
that they are equal each time. Their order, the shards of several workers, and the place of a resumed training are
fairseq's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from fairseq import utils
from fairseq.data import LanguagePairDataset, iterators

MEMORY = 2**28
"""Bytes that kept batches may take on the device; the batches of a larger corpus are not kept."""


def keep_batches(iterator: Any, device: torch.device) -> bool:
    """Let a fairseq iterator over sentence pairs keep its batches on a device; return whether they fit `MEMORY`."""
    kept = (
        type(iterator) is iterators.EpochBatchIterator
        and type(iterator.dataset) is LanguagePairDataset
        and not callable(iterator.batch_sampler)
        and _bytes(iterator) <= MEMORY
    )
    if kept:
        iterator.__class__ = KeptBatches
        iterator.device, iterator.collated = device, {}
    return kept


def _bytes(iterator: Any) -> int:
    """Memory of the tokens of all batches: source, target, and the decoder's input."""
    sizes = iterator.dataset.sizes
    tokens = sum(len(batch) * int(sizes[batch].max(axis=0) @ (1, 2)) for batch in iterator.frozen_batches)
    return 8 * tokens  # of all workers: each epoch gives a worker others


class KeptBatches(iterators.EpochBatchIterator):
    """fairseq's iterator; each batch is collated once, in the thread that prepares fairseq's batches ahead.

    Processes of ``--num-workers`` are not started: after an epoch there is nothing left for them to do.
    """

    device: torch.device
    collated: dict[tuple[int, ...], Any]

    def _get_iterator_for_epoch(
        self, epoch: int, shuffle: bool, fix_batches_to_gpus: bool = False, offset: int = 0
    ) -> iterators.CountingIterator | None:
        batches = self.ordered_batches(epoch, fix_batches_to_gpus, shuffle)
        if 0 < offset >= len(batches):
            return None
        iterator: Any = _Collated(self, batches[offset:])
        if self.buffer_size > 0:
            iterator = iterators.BufferedIterator(self.buffer_size, iterator)
        iterator = iterators.CountingIterator(iterator, start=offset)
        if self.skip_remainder_batch:
            iterator.take(len(iterator) - 1)
        return iterator

    def batch(self, indices: Sequence[int]) -> Any:
        """The collated batch of these sentences, on the device; an empty one where a worker has none."""
        key = tuple(map(int, indices))
        if key not in self.collated:
            batch = self.collate_fn([self.dataset[i] for i in key])
            self.collated[key] = on_device(batch, self.device)
        return self.collated[key]


class _Collated:
    """The batches of an epoch, as far as they are left."""

    def __init__(self, source: KeptBatches, batches: Sequence[Sequence[int]]) -> None:
        self._source, self._batches = source, batches

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Any]:
        return map(self._source.batch, self._batches)


def on_device(sample: Any, device: torch.device) -> Any:
    """A tensor, or what holds tensors, on a device; the host does not wait for the copy to a GPU."""
    if device.type != "cuda":
        return sample
    return utils.apply_to_sample(lambda tensor: tensor.pin_memory().to(device, non_blocking=True), sample)
