"""The training of a network by its protocol, with smoothed labels, a teacher, or both.

The random draws of an epoch depend on the seed and the number of the epoch alone. A run that was killed therefore goes
on from the epoch of its checkpoint and ends with the same numbers.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import torch
from tqdm import tqdm

from ..records import written_whole
from ..smoothing.logits import smoothed_cross_entropy
from . import VisionError, checkpoints, epochs
from .checkpoints import Checkpoint, Settings
from .descent import Descent
from .distillation import Distillation, distillation_loss
from .epochs import Epoch, Part
from .images import Images
from .protocols import protocol_of
from .updates import Batch, CudaRecorder, Updates

SAVE_AFTER = 30.0
"""Seconds without a checkpoint after which the end of an epoch writes one."""
N_AT_ONCE = 32
"""Batches whose images a GPU augments at once. A CPU augments each batch by itself, in its cache."""


class Training:
    """One run. ``file`` holds its checkpoint, of an epoch's end; where the file exists, the run goes on from it.

    Raises VisionError for the checkpoint of another run.
    """

    def __init__(self, settings: Settings, data: Images, file: Path, distillation: Distillation | None = None) -> None:
        self.settings = settings
        self.protocol = protocol_of(settings.network)
        self.update = 0
        self.updates_per_epoch = -(-len(data.labels) // self.protocol.batch)
        self._file = file
        self._data = data
        self._distillation = distillation
        self._device = data.pixels.device
        torch.manual_seed(settings.seed)
        self.network = settings.build().to(self._device)
        self._descent = Descent(self.network, self.protocol)
        on_gpu = self._device.type == "cuda"
        self._n_at_once = N_AT_ONCE if on_gpu else 1
        self._updates = Updates(self._update, self._n_at_once, CudaRecorder(self._device) if on_gpu else None)
        self._saved: int | None = None
        self._saved_at = time.monotonic()
        if file.exists():
            self._restore(checkpoints.load(file, self._device))

    def _restore(self, checkpoint: Checkpoint) -> None:
        if checkpoint.settings != self.settings:
            raise VisionError(
                f"{self._file}: the checkpoint of another command or of other data; move {self._file.parent} away"
            )
        self.network.load_state_dict(checkpoint.network)
        self._descent.restore(checkpoint.momentum)
        self.update = self._saved = checkpoint.update

    def save(self) -> None:
        """Write the checkpoint of the last epoch, or of the untrained network, unless the file has it."""
        if self._saved == self.update:
            return
        checkpoint = Checkpoint(self.settings, self.network.state_dict(), self.update, self._descent.momentum)
        with written_whole(self._file) as path:
            checkpoint.save(path)
        self._saved, self._saved_at = self.update, time.monotonic()

    def epochs(self) -> Iterator[int]:
        """Train to the end. Yields the number of updates after each epoch, and before the first epoch 0, or that of the
        checkpoint the run goes on from.

        The checkpoint is written after the last epoch, and after others when the last one is `SAVE_AFTER` seconds old.
        Raises VisionError for a loss that is not finite, at the end of its epoch.
        """
        total = self.settings.updates
        name = self._file.parent.name
        with tqdm(total=total, initial=self.update, desc=name, unit="update", disable=None) as bar:
            yield self.update
            epoch = self._draw(self.update)
            while self.update < total:
                first = self.update
                losses = self._train_on(epoch, bar)
                epoch = self._draw(self.update)  # while a GPU is at work
                bar.set_postfix(loss=f"{self._mean(losses, first):.3f}", refresh=False)
                if self.update == total or time.monotonic() - self._saved_at >= SAVE_AFTER:
                    self.save()
                yield self.update

    def _draw(self, first: int) -> Epoch:
        """The epoch whose first update is ``first``."""
        seed = self.settings.seed * 1_000_003 + first // self.updates_per_epoch
        n = len(self._data.labels)
        return epochs.draw(self.protocol, self.settings.shape, n, seed, first, self.settings.updates, self._device)

    def _train_on(self, epoch: Epoch, bar: tqdm) -> torch.Tensor:
        """The losses of an epoch's updates, on the device."""
        torch.manual_seed(epoch.seed)  # of dropout
        losses = []
        for part in epoch.parts(self.protocol.batch, self._n_at_once):
            losses.append(self.train_on(part))
            bar.update(len(losses[-1]))
        return torch.cat(losses)

    def _mean(self, losses: torch.Tensor, first: int) -> float:
        """The mean of the ``losses`` of updates that begin after ``first``; the one wait for a GPU in an epoch.

        Raises VisionError for a loss that is not finite.
        """
        losses = losses.cpu()
        for i in (~losses.isfinite()).nonzero()[:1, 0].tolist():
            raise VisionError(
                f"{self._file.parent}: the loss is {losses[i].item()} at update {first + i + 1}; the last checkpoint "
                "stays"
            )
        return losses.mean().item()

    def train_on(self, part: Part) -> torch.Tensor:
        """Make an update on each batch of a part of an epoch. Returns their mean losses (n,) in nats, on the device."""
        self.network.train()
        places, numbers = part.places.flatten(), part.numbers.flatten(0, 1)
        sizes = tuple(part.places.shape)
        x = self.protocol.training_images(self._data.pixels[places], numbers)
        taught = x.new_empty(len(x), 0) if self._distillation is None else self._distillation.targets(places, x)
        block = Batch(x.unflatten(0, sizes), self._data.labels[part.places], part.factors, taught.unflatten(0, sizes))
        losses = self._updates(block)
        self.update += len(losses)
        return losses

    def _update(self, batch: Batch) -> torch.Tensor:
        """Make one update. Returns its mean loss in nats."""
        loss = self._loss(batch)
        self.network.zero_grad()
        (self.protocol.loss_scale * loss).backward()
        self._descent.step(batch.factor)
        return loss.detach()

    def _loss(self, batch: Batch) -> torch.Tensor:
        """The mean loss of a batch, with its gradient."""
        # A cache of casts would outlive the recording of an update.
        with torch.autocast(batch.x.device.type, torch.bfloat16, enabled=self.settings.bf16, cache_enabled=False):
            logits = self.network(batch.x)
        logits = logits.float()
        loss = smoothed_cross_entropy(logits, batch.labels, self.settings.smoothing).loss.mean()
        if self._distillation is None:
            return loss
        beta = self._distillation.beta
        taught = distillation_loss(logits, batch.taught, self._distillation.temperature).mean()
        return (1 - beta) * loss + beta * taught
