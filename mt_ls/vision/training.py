"""Training a network by the paper's protocol (appendix A), alone or from a teacher (section 4), an epoch at a time.

What an epoch draws at random depends on the seed and its number alone: a killed run goes on from its last whole epoch,
and ends with the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from ..records.record import written_whole
from ..smoothing.loss import smoothed_cross_entropy
from . import VisionError, images, networks
from .images import Augmentation, Images
from .networks import Classifier


@dataclass(frozen=True)
class Protocol:
    """How a kind of network is trained. The learning rate falls tenfold at these ``drops`` of the ``updates``, or in a
    line to 0 where there are none; ``decayed`` names the parameters that decay; the loss counts ``loss_scale`` times
    (tensor2tensor's ``loss_multiplier``); the head learns at ``head_rate`` of the rate; with ``average`` what counts is
    the running mean of the weights, which keeps this part of itself at an update."""

    batch: int
    updates: int
    rate: float
    augment: Augmentation | None
    plain: Any
    momentum: float = 0.0
    dampening: float = 0.0
    nesterov: bool = False
    drops: tuple[float, ...] = ()
    decay: float = 0.0
    decayed: tuple[str, ...] = ()
    loss_scale: float = 1.0
    clip: float | None = None
    head_rate: float = 1.0
    average: float | None = None

    def rate_at(self, update: int, updates: int) -> float:
        """The factor of the rate at an update of so many."""
        if not self.drops:
            return 1 - update / updates
        return float(0.1 ** sum(update >= drop * updates for drop in self.drops))


# "Gradient smoothing" of A.5, 0.9 of the last and 0.1 of the new, is momentum with dampening. Batch size: not stated.
# 100 epochs, here of 50 000 digits.
_MLP = Protocol(100, 50_000, 1.0, None, images.scaled, momentum=0.9, dampening=0.9, head_rate=0.1)
PROTOCOLS = {
    "mlp_1200": replace(_MLP, augment=images.shift),
    "mlp_1200_dropout": replace(_MLP, augment=images.shift),
    "mlp": _MLP,
    "alexnet": Protocol(
        128,
        390_000,
        0.1,
        images.distort,
        images.centre_24,
        drops=(1 / 3, 2 / 3),
        decay=0.04,
        decayed=("body.9.weight", "body.11.weight"),
        loss_scale=3.0,
    ),
    # Rate and length are not stated: 200 epochs, from the rate for 256 images of Goyal et al. 2017, scaled to 4096.
    "inception": Protocol(
        4096,
        60_200,
        1.6,
        images.crop_299,
        images.centre_299,
        momentum=0.9,
        nesterov=True,
        decay=8e-5,
        decayed=("weight",),
        average=0.9999,
    ),
    "resnet": Protocol(
        128,
        64_000,
        0.1,
        images.crop_and_flip,
        images.standardised,
        momentum=0.9,
        nesterov=True,
        drops=(0.5, 0.75),
        decay=1e-4,
        decayed=("weight",),
        loss_scale=3.0,
        clip=1.0,
    ),
}


def protocol_of(network: str) -> Protocol:
    """That of a network's name, or of its kind. Raises VisionError for a kind that the paper does not train."""
    kind = network.partition("_")[0]
    found = PROTOCOLS.get(network) or PROTOCOLS.get(kind)
    if found is None:
        raise VisionError(f"no network {network!r}: choose of the kinds {', '.join(PROTOCOLS)}")
    return found


@dataclass(frozen=True)
class Teacher:
    """A network, trained by its ``name``'s protocol, to learn from on ``data``. Its part ``beta`` of the loss is the
    cross entropy with its probabilities at ``temperature``, or where that is None half the squared error of its logits,
    a mean over classes: what T^2 times the cross entropy tends to as T rises, for logits of mean 0 (Hinton et al. 2015,
    section 2.1)."""

    network: Classifier
    name: str
    data: Images
    beta: float
    temperature: float | None

    @cached_property
    def logits(self) -> torch.Tensor:
        """(N, K), of each image as the teacher is itself measured on it, whatever crop of it the student sees: gamma
        then tells what is taught."""
        prepare = protocol_of(self.name).plain
        with torch.no_grad():
            return torch.cat([self.network(prepare(pixels)) for pixels in self.data.pixels.split(500)])

    def loss(self, logits: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
        """(N,) of ``logits`` (N, K) and the teacher's."""
        if self.temperature is None:
            return 0.5 * (logits - theirs).square().mean(dim=-1)
        return -((theirs / self.temperature).softmax(dim=-1) * logits.log_softmax(dim=-1)).sum(dim=-1)


@dataclass(frozen=True)
class Settings:
    """What makes two runs the same: kept in the checkpoint. ``shape`` is (C, H, W), ``data`` the hash of the images,
    ``teacher`` what a record says of it; with ``bf16`` the network's products are in bfloat16 during training (weights,
    loss and updates stay in float32)."""

    network: str
    alpha: float
    seed: int
    updates: int
    shape: list[int]
    n_classes: int
    data: str
    teacher: dict[str, Any] | None = None
    bf16: bool = False

    def build(self) -> Classifier:
        """The network, untrained."""
        channels, height, width = self.shape
        return networks.build(self.network, (channels, height, width), self.n_classes)


def load_checkpoint(file: Path, device: torch.device) -> dict[str, Any]:
    """The state of a run. Raises VisionError for a file that is no checkpoint of ours."""
    try:
        state = torch.load(file, map_location=device, weights_only=True)
        if state.keys() == {"settings", "network", "average", "update", "optimizer"}:
            return state
        reason = "other content"
    except Exception as error:  # whatever the unpickler raises for what is none
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    raise VisionError(f"{file}: no checkpoint of ours ({reason[:120]}); move it away")


def trained(folder: Path, device: torch.device) -> tuple[Classifier, Settings]:
    """The network of a finished run, to evaluate. Raises VisionError if there is none."""
    file = folder / "checkpoint.pt"
    if not file.exists():
        raise VisionError(f"{folder}: no trained network; train it first")
    state = load_checkpoint(file, device)
    settings = Settings(**state["settings"])
    if state["update"] < settings.updates:
        raise VisionError(
            f"{folder}: trained for {state['update']} of {settings.updates} updates only; finish it first"
        )
    network = settings.build().to(device)
    network.load_state_dict(state["average"] or state["network"])
    return network.eval(), settings


class Training:
    """One run, whose state is in ``file`` after every epoch. Raises VisionError for a file of another run."""

    def __init__(self, settings: Settings, data: Images, file: Path) -> None:
        self.settings = settings
        self.protocol = protocol_of(settings.network)
        self._file = file
        self._data = data
        torch.manual_seed(settings.seed)
        self.network = settings.build().to(data.pixels.device)
        self.optimizer = _optimizer(self.network, self.protocol)
        self._average: AveragedModel | None = None
        if self.protocol.average:
            self._average = AveragedModel(self.network, multi_avg_fn=get_ema_multi_avg_fn(self.protocol.average))
        self.update = 0
        if file.exists():
            state = load_checkpoint(file, data.pixels.device)
            if state["settings"] != asdict(settings):
                raise VisionError(f"{file}: a model of another command or other data; move {file.parent} away")
            self.network.load_state_dict(state["network"])
            if self._average:
                self._average.module.load_state_dict(state["average"])
                self._average.n_averaged.fill_(state["update"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.update = state["update"]

    @property
    def evaluated(self) -> Classifier:
        """The network that counts."""
        return cast(Classifier, self._average.module) if self._average else self.network

    def _save(self) -> None:
        average = self._average and self._average.module.state_dict()
        state = {
            "settings": asdict(self.settings),
            "network": self.network.state_dict(),
            "average": average,
            "update": self.update,
            "optimizer": self.optimizer.state_dict(),
        }
        with written_whole(self._file) as path:
            torch.save(state, path)

    def epochs(self, teacher: Teacher | None) -> Iterator[int]:
        """Train to the end; the update after each epoch, when its checkpoint is written, and first that of a checkpoint
        that was there."""
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
                for chosen in order.split(self.protocol.batch)[: total - self.update]:
                    bar.set_postfix(loss=f"{self._step(chosen, rng, teacher):.3f}", refresh=False)
                    bar.update()
                self._save()
                yield self.update

    def _step(self, chosen: torch.Tensor, rng: torch.Generator, teacher: Teacher | None) -> float:
        protocol = self.protocol
        chosen = chosen.to(self._data.labels.device)
        pixels, labels = self._data.pixels[chosen], self._data.labels[chosen]
        x = protocol.augment(pixels, rng) if protocol.augment else protocol.plain(pixels)
        self.network.train()
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.settings.bf16):
            logits = self.network(x)
        logits = logits.float()
        loss = smoothed_cross_entropy(logits, labels, self.settings.alpha).loss.mean()
        if teacher:
            taught = teacher.loss(logits, teacher.logits[chosen]).mean()
            loss = (1 - teacher.beta) * loss + teacher.beta * taught
        self.optimizer.zero_grad()
        (protocol.loss_scale * loss).backward()
        if protocol.clip:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), protocol.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = group["full_rate"] * protocol.rate_at(self.update, self.settings.updates)
        self.optimizer.step()
        if self._average:
            self._average.update_parameters(self.network)
        self.update += 1
        value = loss.item()
        if not math.isfinite(value):
            raise VisionError(
                f"{self._file.parent}: the loss is {value} at update {self.update}; the last epoch's checkpoint stays"
            )
        return value


def _optimizer(network: Classifier, protocol: Protocol) -> torch.optim.SGD:
    groups = []
    for name, values in network.named_parameters():
        rate = protocol.rate * (protocol.head_rate if name.startswith("head") else 1.0)
        decay = protocol.decay if name.endswith(protocol.decayed) and protocol.decayed else 0.0
        groups.append({"params": [values], "lr": rate, "full_rate": rate, "weight_decay": decay})
    return torch.optim.SGD(groups, momentum=protocol.momentum, dampening=protocol.dampening, nesterov=protocol.nesterov)
