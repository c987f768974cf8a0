"""An MNIST epoch of the paper's teacher: batches augmented at once, against a Dataset of single images with workers."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from harness import DEVICE, ROOT, Row, alternate, row, run, seconds
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from mt_ls.vision import augment, images
from mt_ls.vision.checkpoints import Settings
from mt_ls.vision.protocols import protocol_of
from mt_ls.vision.training import Training

DATA = ROOT / "data-bin" / "mnist"
NETWORK = "mlp_1200_dropout"


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


def training(folder: Path, data: images.Images) -> Training:
    """The teacher with dropout, for one epoch."""
    updates = -(-len(data.labels) // protocol_of(NETWORK).batch)
    settings = Settings(NETWORK, 0.0, 1, updates, tuple(data.pixels.shape[1:]), 10, "benchmark")
    return Training(settings, data, folder / "checkpoint.pt")


def ours(data: images.Images) -> None:
    """An epoch as our recipe runs it, without writing its checkpoint."""
    trained = training(ROOT / "no checkpoint", data)
    rng = torch.Generator().manual_seed(1)
    for chosen in torch.randperm(len(data.labels), generator=rng).split(trained.protocol.batch):
        trained.step(chosen, rng)


def _passes(data: images.Images, batches: Iterator[tuple[torch.Tensor, torch.Tensor]]) -> None:
    trained = training(ROOT / "no checkpoint", data)
    network = trained.network.train()
    for x, labels in batches:
        loss = torch.nn.functional.cross_entropy(network(x.to(DEVICE)), labels.to(DEVICE))
        trained.optimizer.zero_grad()
        loss.backward()
        trained.optimizer.step()


def loader(data: images.Images, single: SingleImages) -> None:
    """The same network and optimiser, fed by a DataLoader with two workers."""
    _passes(data, iter(DataLoader(single, protocol_of(NETWORK).batch, shuffle=True, num_workers=2)))


def floor(data: images.Images) -> None:
    """Forward, backward and the optimiser's step on one batch again and again."""
    batch = protocol_of(NETWORK).batch
    x, labels = augment.scaled(data.pixels[:batch]), data.labels[:batch]
    _passes(data, iter([(x, labels)] * (len(data.labels) // batch)))


def benchmark(rounds: int = 3) -> list[Row]:
    """An epoch in turns."""
    run([sys.executable, "-m", "data_prep", "mnist", "--out", str(DATA)])
    data = images.load(DATA, "train", DEVICE)
    single = SingleImages(data)
    case = f"an MNIST epoch of {len(data.labels):,} digits, {NETWORK}"
    rows = []
    for name, rival, target in (
        ("Dataset and DataLoader, 2 workers", lambda: loader(data, single), "<= 0.20"),
        ("forward and backward alone", lambda: floor(data), "<= 1.30"),
    ):
        times = alternate(lambda: seconds(lambda: ours(data)), lambda rival=rival: seconds(rival), rounds)
        rows.append(row("vision", case, name, *times, "s", target=target))
    return rows
