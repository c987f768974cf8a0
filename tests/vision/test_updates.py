"""Updates that are recorded and repeated: the bookkeeping on a CPU with a recorder of Python calls."""

import pytest
import torch

from mt_ls.vision import updates as module
from mt_ls.vision.updates import Batch, Updates


class Steps:
    """An update whose loss and state depend on every field of its batch, and on all batches before it."""

    def __init__(self):
        self.state = torch.zeros((), dtype=torch.float64)

    def __call__(self, batch):
        fields = [batch.x.double() * torch.arange(1, 1 + batch.x[0].numel()).view(batch.x.shape[1:]), *batch[1:]]
        self.state.mul_(0.9).add_(sum(field.double().sum() for field in fields))
        return self.state.float()


def _block(n, size, seed, n_taught=5):
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(n, size, 3, 4, 4, generator=rng)
    labels = torch.randint(5, (n, size), generator=rng)
    return Batch(x, labels, torch.rand(n, generator=rng), torch.randn(n, size, n_taught, generator=rng))


@pytest.mark.parametrize("n_taught", [0, 5])
def test_recorded_updates_are_the_eager_ones(recorder, n_taught):
    """Blocks of several lengths and of two shapes of batch, in turns, with and without a teacher."""
    eager, recorded = Updates(Steps(), 8), Updates(Steps(), 8, recorder)
    lengths = ((8, 6), (8, 6), (3, 6), (1, 4), (8, 6), (1, 4), (2, 4), (1, 4))
    for seed, (n, size) in enumerate(lengths):
        block = _block(n, size, seed, n_taught)
        losses = recorded(block)
        assert losses.shape == (n,)
        torch.testing.assert_close(losses, eager(block), rtol=1e-6, atol=0)
    assert recorder.n_recorded == 2
    assert recorder.n_repeated == sum(n for n, _ in lengths) - 2 * module.WARM_UP


def test_losses_of_a_block_stay_when_the_next_one_runs(recorder):
    recorded = Updates(Steps(), 4, recorder)
    recorded(_block(3, 6, 0))
    first = recorded(_block(4, 6, 1))
    before = first.clone()
    recorded(_block(4, 6, 2))
    assert torch.equal(first, before)


def test_without_a_recorder_nothing_is_copied():
    """An update on a CPU sees the block's own memory."""
    seen = []

    def update(batch):
        seen.append(batch.x.data_ptr())
        return batch.x.sum()

    block = _block(2, 6, 0)
    Updates(update, 2)(block)
    assert seen == [block.x[0].data_ptr(), block.x[1].data_ptr()]
