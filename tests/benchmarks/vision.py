"""An MNIST epoch of the paper's teacher: batches augmented at once, against a Dataset of single images with workers. On
a GPU the updates of the paper's networks, recorded and eager, on random images."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from harness import DEVICE, ROOT, Row, alternate, module, row, run, seconds
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from mt_ls.vision import augment, images
from mt_ls.vision.checkpoints import Settings
from mt_ls.vision.protocols import protocol_of
from mt_ls.vision.training import N_AT_ONCE, Training
from mt_ls.vision.updates import Updates

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
    return _training(NETWORK, data, -(-len(data.labels) // protocol_of(NETWORK).batch))


def _training(network: str, data: images.Images, updates: int, bf16: bool = False) -> Training:
    settings = Settings(
        network=network,
        alpha=0.0,
        seed=1,
        updates=updates,
        shape=tuple(data.pixels.shape[1:]),
        n_classes=10,
        data="benchmark",
        bf16=bf16,
    )
    return Training(settings, data, NO_CHECKPOINT)


def batches_at_once(data: images.Images) -> None:
    """An epoch as the recipe runs it, without writing its checkpoint."""
    run_of_one_epoch = training(data)
    run_of_one_epoch.save = lambda: None  # type: ignore[method-assign]
    list(run_of_one_epoch.epochs())


def _train_on(data: images.Images, batches: Iterator[tuple[torch.Tensor, torch.Tensor]]) -> None:
    network = training(data).network.train()
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0, momentum=0.9, dampening=0.9)
    for x, labels in batches:
        loss = torch.nn.functional.cross_entropy(network(x.to(DEVICE)), labels.to(DEVICE))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def loader(data: images.Images, single: SingleImages) -> None:
    """The same network and optimiser with a DataLoader of two workers."""
    _train_on(data, iter(DataLoader(single, protocol_of(NETWORK).batch, shuffle=True, num_workers=2)))


def floor(data: images.Images) -> None:
    """Forward, backward and the optimiser's step on one batch again and again."""
    batch = protocol_of(NETWORK).batch
    x, labels = augment.scaled(data.pixels[:batch]), data.labels[:batch]
    _train_on(data, iter([(x, labels)] * (len(data.labels) // batch)))


@dataclass(frozen=True)
class OnGpu:
    """Updates of a network on ``n`` random images of ``shape``, and the updates a second that are to be reached."""

    network: str
    shape: tuple[int, int, int]
    n: int
    bf16: bool = False
    target: int | None = None

    @property
    def case(self) -> str:
        """The network, its precision and the images of an update."""
        batch = protocol_of(self.network).batch
        return f"{self.network} in {'bf16' if self.bf16 else 'float32'}, {batch} images an update"


# An eager epoch of 40 000 images would take a ResNet most of a minute.
ON_GPU = (
    OnGpu("mlp_1200_dropout", (1, 28, 28), 50_000, target=2500),
    OnGpu("alexnet", (3, 32, 32), 40_000, target=1500),
    OnGpu("resnet_56_wide", (3, 32, 32), 8_192, bf16=True, target=150),
    OnGpu("resnet_56_t2t", (3, 32, 32), 8_192, bf16=True),
)


def rate_of(network: OnGpu, eager: bool) -> Callable[[], float]:
    """A call that trains for an epoch and returns its updates a second. Two epochs have run before the first one."""
    rng = torch.Generator().manual_seed(1)
    pixels = torch.randint(256, (network.n, *network.shape), generator=rng, dtype=torch.uint8).to(DEVICE)
    data = images.Images(pixels, torch.randint(10, (network.n,), generator=rng).to(DEVICE))
    run_without_end = _training(network.network, data, 10**6, network.bf16)
    run_without_end.save = lambda: None  # type: ignore[method-assign]
    if eager:
        run_without_end._updates = Updates(run_without_end._update, N_AT_ONCE)
    epochs = run_without_end.epochs()
    for _ in range(3):  # the first value comes before an epoch
        next(epochs)
    return lambda: run_without_end.updates_per_epoch / seconds(lambda: next(epochs))


def on_gpu(network: OnGpu, rounds: int) -> list[Row]:
    """Recorded updates in turns with eager ones, and beside the target."""
    recorded, eager = alternate(rate_of(network, eager=False), rate_of(network, eager=True), rounds)
    rows = [row("vision", network.case, "eager updates", recorded, eager, "updates/s")]
    if network.target:
        reached = [float(network.target)] * rounds
        against = f"{network.target:,} updates a second"
        rows.append(row("vision", network.case, against, recorded, reached, "updates/s", target=">= 1.00"))
    return rows


def benchmark(rounds: int = 3) -> list[Row]:
    """An MNIST epoch in turns; on a GPU the updates of each network instead."""
    if DEVICE == "cuda":
        return [one for network in ON_GPU for one in on_gpu(network, rounds)]
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
