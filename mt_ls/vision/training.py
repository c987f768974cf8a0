"""The training of a network by its protocol, with smoothed labels, a teacher, or both.

The random draws of an epoch depend on the seed and the number of the epoch alone. A run that was killed therefore goes
on from its last whole epoch and ends with the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from ..records import written_whole
from ..smoothing.logits import smoothed_cross_entropy
from . import VisionError, checkpoints
from .checkpoints import Checkpoint, Settings
from .distillation import Distillation, distillation_loss
from .images import Images
from .networks import Classifier
from .protocols import Protocol, protocol_of


class Training:
    """One run. ``file`` holds its checkpoint after every epoch; where the file exists, the run goes on from it.

    Raises VisionError for the checkpoint of another run.
    """

    def __init__(self, settings: Settings, data: Images, file: Path, distillation: Distillation | None = None) -> None:
        self.settings = settings
        self.protocol = protocol_of(settings.network)
        self.update = 0
        self._file = file
        self._data = data
        self._distillation = distillation
        torch.manual_seed(settings.seed)
        self.network = settings.build().to(data.pixels.device)
        self.optimizer = _optimizer(self.network, self.protocol)
        self._average: AveragedModel | None = None
        if self.protocol.average:
            self._average = AveragedModel(self.network, multi_avg_fn=get_ema_multi_avg_fn(self.protocol.average))
        if file.exists():
            self._restore(checkpoints.load(file, data.pixels.device))

    @property
    def trained(self) -> Classifier:
        """The network to measure: the running mean of the weights where the protocol has one."""
        return cast(Classifier, self._average.module) if self._average else self.network

    def _restore(self, checkpoint: Checkpoint) -> None:
        if checkpoint.settings != self.settings:
            raise VisionError(
                f"{self._file}: the checkpoint of another command or of other data; move {self._file.parent} away"
            )
        self.network.load_state_dict(checkpoint.network)
        if self._average and checkpoint.average:
            self._average.module.load_state_dict(checkpoint.average)
            self._average.n_averaged.fill_(checkpoint.update)
        self.optimizer.load_state_dict(checkpoint.optimizer)
        self.update = checkpoint.update

    def _save(self) -> None:
        average = self._average.module.state_dict() if self._average else None
        checkpoint = Checkpoint(
            self.settings, self.network.state_dict(), average, self.update, self.optimizer.state_dict()
        )
        with written_whole(self._file) as path:
            checkpoint.save(path)

    def epochs(self) -> Iterator[int]:
        """Train to the end. Yields the number of updates after each epoch, once its checkpoint is written, and before
        the first epoch that of the checkpoint the run goes on from."""
        per_epoch = -(-len(self._data.labels) // self.protocol.batch)
        total = self.settings.updates
        name = self._file.parent.name
        with tqdm(total=total, initial=self.update, desc=name, unit="update", disable=None) as bar:
            if self.update:
                yield self.update
            while self.update < total:
                seed = self.settings.seed * 1_000_003 + self.update // per_epoch
                rng = torch.Generator().manual_seed(seed)
                torch.manual_seed(seed)  # of dropout
                order = torch.randperm(len(self._data.labels), generator=rng)
                for places in order.split(self.protocol.batch)[: total - self.update]:
                    bar.set_postfix(loss=f"{self.step(places, rng):.3f}", refresh=False)
                    bar.update()
                self._save()
                yield self.update

    def step(self, places: torch.Tensor, rng: torch.Generator) -> float:
        """Make one update on the images at ``places`` (B,) and return its mean loss in nats.

        Raises VisionError for a loss that is not finite.
        """
        places = places.to(self._data.labels.device)
        protocol = self.protocol
        loss = self._loss(places, rng)
        self.optimizer.zero_grad()
        (protocol.loss_scale * loss).backward()
        if protocol.clip:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), protocol.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = group["full_rate"] * protocol.rate_factor(self.update, self.settings.updates)
        self.optimizer.step()
        if self._average:
            self._average.update_parameters(self.network)
        self.update += 1
        if not math.isfinite(loss.item()):
            raise VisionError(
                f"{self._file.parent}: the loss is {loss.item()} at update {self.update}; the checkpoint of the last "
                "epoch stays"
            )
        return loss.item()

    def _loss(self, places: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """The mean loss of a batch, with its gradient."""
        x = self.protocol.training_images(self._data.pixels[places], rng)
        self.network.train()
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.settings.bf16):
            logits = self.network(x)
        logits = logits.float()
        loss = smoothed_cross_entropy(logits, self._data.labels[places], self.settings.smoothing).loss.mean()
        if self._distillation is None:
            return loss
        beta, teacher_logits = self._distillation.beta, self._distillation.logits[places]
        taught = distillation_loss(logits, teacher_logits, self._distillation.temperature).mean()
        return (1 - beta) * loss + beta * taught


def _optimizer(network: Classifier, protocol: Protocol) -> torch.optim.SGD:
    """SGD with a group for each parameter; ``full_rate`` is the group's learning rate before any fall."""
    groups = []
    for name, values in network.named_parameters():
        rate = protocol.rate * (protocol.head_rate if name.startswith("head") else 1.0)
        decay = protocol.decay if name.endswith(protocol.decayed) and protocol.decayed else 0.0
        groups.append({"params": [values], "lr": rate, "full_rate": rate, "weight_decay": decay})
    return torch.optim.SGD(groups, momentum=protocol.momentum, dampening=protocol.dampening, nesterov=protocol.nesterov)
