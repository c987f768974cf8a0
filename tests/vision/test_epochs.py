"""The random numbers of an epoch, and its batches."""

import torch

from mt_ls.vision import epochs
from mt_ls.vision.augment import CROP_AND_FLIP
from mt_ls.vision.protocols import protocol_of

RESNET, SHAPE, CPU = protocol_of("resnet_8"), (3, 8, 8), torch.device("cpu")


def test_an_epoch_is_drawn_batch_by_batch_from_one_generator():
    """Published numbers depend on this order: that of the images, then the numbers of each batch."""
    epoch = epochs.draw(RESNET, SHAPE, n=300, seed=9, first=0, updates=30, device=CPU)
    rng = torch.Generator().manual_seed(9)
    assert torch.equal(epoch.order, torch.randperm(300, generator=rng))
    assert torch.equal(epoch.numbers, torch.cat([CROP_AND_FLIP.draw(n, SHAPE, rng) for n in (128, 128, 44)]))


def test_the_batches_of_an_epoch_come_in_parts_and_the_smaller_last_one_alone():
    epoch = epochs.draw(RESNET, SHAPE, n=700, seed=9, first=6, updates=100, device=CPU)  # 5.5 batches of 128
    parts = list(epoch.parts(128, 2))
    assert [tuple(part.places.shape) for part in parts] == [(2, 128), (2, 128), (1, 128), (1, 60)]
    assert torch.equal(torch.cat([part.places.flatten() for part in parts]), epoch.order)
    assert torch.equal(torch.cat([part.numbers.flatten(0, 1) for part in parts]), epoch.numbers)
    factors = [RESNET.rate_factor(update, 100) for update in range(6, 12)]
    assert torch.cat([part.factors for part in parts]).tolist() == factors == epoch.factors.tolist()


def test_the_last_epoch_ends_with_the_last_update():
    epoch = epochs.draw(RESNET, SHAPE, n=700, seed=9, first=96, updates=99, device=CPU)
    assert [tuple(part.places.shape) for part in epoch.parts(128, 2)] == [(2, 128), (1, 128)]
    assert torch.equal(torch.cat([part.places.flatten() for part in epoch.parts(128, 2)]), epoch.order[: 3 * 128])


def test_images_without_augmentation_need_no_numbers():
    epoch = epochs.draw(protocol_of("mlp_8"), SHAPE, n=250, seed=9, first=0, updates=30, device=CPU)
    assert [tuple(part.numbers.shape) for part in epoch.parts(100, 4)] == [(2, 100, 0), (1, 50, 0)]
