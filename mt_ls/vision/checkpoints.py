"""The checkpoint of a run: its settings, and its weights after a whole epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import torch

from ..records import Model, Teacher, TeacherRun
from ..smoothing.kinds import Smoothing
from . import VisionError, networks
from .networks import Classifier

FILE = "checkpoint.pt"
"""The checkpoint's name in a run's folder."""
_KEYS = {"settings", "network", "update", "momentum"}


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The settings that decide a run's numbers; a run goes on only from a checkpoint with the same ones.

    ``shape`` is (C, H, W), ``data`` the hash of the images. With ``bf16`` the network's products are in bfloat16 during
    training; weights, loss and updates stay in float32. Raises ValueError for an ``alpha`` outside [0, 1).
    """

    network: str
    alpha: float
    seed: int
    updates: int
    shape: tuple[int, int, int]
    n_classes: int
    data: str
    teacher: Teacher | None = None
    teacher_run: TeacherRun | None = None
    bf16: bool = False

    def __post_init__(self) -> None:
        _ = self.smoothing  # checks alpha

    @property
    def smoothing(self) -> Smoothing:
        """The smoothing of the labels."""
        return Smoothing(amount=self.alpha)

    def build(self) -> Classifier:
        """The network, untrained."""
        return networks.build(self.network, self.shape, self.n_classes)

    def model(self, corpus: str) -> Model:
        """The identity of the trained network."""
        return Model(
            corpus=corpus,
            architecture=self.network,
            smoothing=self.smoothing,
            precision="bf16" if self.bf16 else None,
            teacher=self.teacher,
        )


class Checkpoint(msgspec.Struct, frozen=True):
    """The state of a run after ``update`` updates: its network's state, and the momentum of each parameter by name."""

    settings: Settings
    network: dict[str, Any]
    update: int
    momentum: dict[str, Any]

    def save(self, path: Path) -> None:
        """Write a file that `load` reads."""
        fields = {name: getattr(self, name) for name in self.__struct_fields__}
        torch.save({**fields, "settings": msgspec.to_builtins(self.settings)}, path)


def load(file: Path, device: torch.device) -> Checkpoint:
    """The checkpoint in a file. Raises VisionError for any other file, or one with settings of another version."""
    try:
        state = torch.load(file, map_location=device, weights_only=True)
        if state.keys() != _KEYS:
            raise ValueError("other content")
        return Checkpoint(**{**state, "settings": msgspec.convert(state["settings"], Settings)})
    except Exception as error:  # the unpickler raises many types for a file that is no checkpoint
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    raise VisionError(f"{file}: no checkpoint of this version of mt_ls.vision ({reason[:120]}); move it away")


def trained(folder: Path, device: torch.device) -> tuple[Classifier, Settings]:
    """The network of a finished run, in evaluation mode, and its settings. Raises VisionError without such a run."""
    file = folder / FILE
    if not file.exists():
        raise VisionError(f"{folder}: no trained network; train it first")
    checkpoint = load(file, device)
    settings = checkpoint.settings
    if checkpoint.update < settings.updates:
        raise VisionError(
            f"{folder}: trained for {checkpoint.update} of {settings.updates} updates only; finish it first"
        )
    network = settings.build().to(device)
    network.load_state_dict(checkpoint.network)
    return network.eval(), settings
