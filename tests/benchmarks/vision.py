"""An MNIST epoch of the paper's teacher: batches augmented at once, against a Dataset of single images with workers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import torch
from harness import DEVICE, ROOT, Row, alternate, module, row, run, seconds
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from mt_ls.vision import augment, images
from mt_ls.vision.checkpoints import Settings
from mt_ls.vision.protocols import protocol_of
from mt_ls.vision.training import Training

DATA = ROOT / "data-bin" / "mnist"
NETWORK = "mlp_1200_dropout"
NO_CHECKPOINT = Path("no checkpoint")


class SingleImages(Dataset):
    """Images one by one, each through the transforms that torchvision's ``RandomCrop(28, padding=2)`` and ``ToTensor``
    make of a PIL image."""

    def __init__(self, data: images.Images) -> None:
        self.images = [Image.fromarray(pixels[0].numpy()) for pixels in data.pixels.cpu()]
        self.labels = data.labels.tolist()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        padded = Image.new("L", (32, 32))
        padded.paste(self.images[i], (2, 2))
        left, top = random.randint(0, 4), random.randint(0, 4)
        crop = padded.crop((left, top, left + 28, top + 28))
        pixels = torch.frombuffer(bytearray(crop.tobytes()), dtype=torch.uint8).view(1, 28, 28)
        return pixels.float().div(255), self.labels[i]


def training(data: images.Images) -> Training:
    """The training of the teacher with dropout for one epoch."""
    updates = -(-len(data.labels) // protocol_of(NETWORK).batch)
    settings = Settings(
        network=NETWORK,
        alpha=0.0,
        seed=1,
        updates=updates,
        shape=tuple(data.pixels.shape[1:]),
        n_classes=10,
        data="benchmark",
    )
    return Training(settings, data, NO_CHECKPOINT)


def batches_at_once(data: images.Images) -> None:
    """An epoch as the recipe runs it, without writing its checkpoint."""
    run_of_one_epoch = training(data)
    rng = torch.Generator().manual_seed(1)
    for places in torch.randperm(len(data.labels), generator=rng).split(run_of_one_epoch.protocol.batch):
        run_of_one_epoch.step(places, rng)


def _train_on(data: images.Images, batches: Iterator[tuple[torch.Tensor, torch.Tensor]]) -> None:
    run_of_one_epoch = training(data)
    network = run_of_one_epoch.network.train()
    for x, labels in batches:
        loss = torch.nn.functional.cross_entropy(network(x.to(DEVICE)), labels.to(DEVICE))
        run_of_one_epoch.optimizer.zero_grad()
        loss.backward()
        run_of_one_epoch.optimizer.step()


def loader(data: images.Images, single: SingleImages) -> None:
    """The same network and optimiser with a DataLoader of two workers."""
    _train_on(data, iter(DataLoader(single, protocol_of(NETWORK).batch, shuffle=True, num_workers=2)))


def floor(data: images.Images) -> None:
    """Forward, backward and the optimiser's step on one batch again and again."""
    batch = protocol_of(NETWORK).batch
    x, labels = augment.scaled(data.pixels[:batch]), data.labels[:batch]
    _train_on(data, iter([(x, labels)] * (len(data.labels) // batch)))


def benchmark(rounds: int = 3) -> list[Row]:
    """An epoch in turns."""
    run(module("data_prep", "mnist", "--out", DATA))
    data = images.load(DATA, "train", DEVICE)
    single = SingleImages(data)
    case = f"an MNIST epoch of {len(data.labels):,} digits, {NETWORK}"
    rows = []
    for name, baseline, target in (
        ("Dataset and DataLoader, 2 workers", lambda: loader(data, single), "<= 0.20"),
        ("forward and backward alone", lambda: floor(data), "<= 1.30"),
    ):
        times = alternate(
            lambda: seconds(lambda: batches_at_once(data)), lambda baseline=baseline: seconds(baseline), rounds
        )
        rows.append(row("vision", case, name, *times, "s", target=target))
    return rows
