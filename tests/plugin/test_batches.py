"""Batches that are collated once: fairseq's, in fairseq's order, over epochs, shards and resumptions."""

import pytest
import torch
from fairseq.data import iterators

from mt_ls.plugin import batches
from mt_ls.plugin.batches import KeptBatches, keep_batches

CPU = torch.device("cpu")


@pytest.fixture
def build(loaded):
    """An iterator over the training set; with ``kept`` one that keeps its batches."""
    _, task, _ = loaded
    task.load_dataset("train")

    def build(kept, **changes):
        settings = {
            "max_tokens": 600,
            "seed": 3,
            "num_shards": 1,
            "data_buffer_size": 4,
            "disable_iterator_cache": True,
        }
        iterator = task.get_batch_iterator(task.datasets["train"], **settings | changes)
        assert not kept or keep_batches(iterator, CPU)
        return iterator

    return build


def _equal(batch, other):
    if isinstance(batch, dict):
        return batch.keys() == other.keys() and all(_equal(batch[key], other[key]) for key in batch)
    return torch.equal(batch, other) if torch.is_tensor(batch) else batch == other


@pytest.mark.parametrize(
    "changes",
    [{}, {"data_buffer_size": 0}, {"num_shards": 3, "shard_id": 2}, {"skip_remainder_batch": True}],
)
def test_every_epoch_has_the_stock_batches_in_the_stock_order(build, changes):
    stock, kept = build(False, **changes), build(True, **changes)
    for _ in range(3):
        expected, own = list(stock.next_epoch_itr()), list(kept.next_epoch_itr())
        assert len(own) == len(expected) > 5
        assert all(map(_equal, own, expected))
    if changes.get("num_shards"):
        assert any(not batch for batch in expected), "a shard is filled up with an empty batch"


def test_a_batch_is_collated_once(build):
    kept, collated = build(True), []
    stock = kept.collate_fn
    kept.collate_fn = lambda samples: collated.append(1) or stock(samples)
    for _ in range(3):
        n = len(list(kept.next_epoch_itr()))
    assert len(collated) == n


@pytest.mark.parametrize("seen", [1, 7])
def test_a_resumed_training_has_the_rest_of_its_epoch(build, seen):
    whole = build(True)
    iterator = whole.next_epoch_itr()
    for _ in range(seen):
        next(iterator)
    state, rest = whole.state_dict(), list(iterator)
    resumed = build(True)
    resumed.load_state_dict(state)
    own = list(resumed.next_epoch_itr())
    assert len(own) == len(rest) and all(map(_equal, own, rest))
    assert whole.end_of_epoch() and resumed.end_of_epoch()
    assert all(map(_equal, whole.next_epoch_itr(), resumed.next_epoch_itr()))


def test_a_larger_corpus_and_another_dataset_keep_nothing(build, loaded, monkeypatch):
    iterator = build(False)
    size = sum(
        8 * tensor.numel()
        for batch in iterator.next_epoch_itr()
        for tensor in (*batch["net_input"].values(), batch["target"])
        if tensor.dim() == 2
    )
    assert batches._bytes(iterator) == size
    monkeypatch.setattr(batches, "MEMORY", size - 1)
    assert not keep_batches(iterator, CPU) and type(iterator) is iterators.EpochBatchIterator
    monkeypatch.setattr(batches, "MEMORY", size)
    iterator.dataset = torch.utils.data.TensorDataset(torch.zeros(3))
    assert not keep_batches(iterator, CPU)
    assert type(build(True)) is KeptBatches
