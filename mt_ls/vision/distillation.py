"""Distillation (section 4; Hinton et al. 2015): targets from a trained teacher."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from .. import records
from ..records import Teacher, TeacherRun
from ..weights import weights_hash
from .checkpoints import trained
from .images import Images
from .networks import Classifier
from .protocols import protocol_of


@dataclass(frozen=True)
class Distillation:
    """A teacher's targets for the images ``data``. ``architecture`` is the teacher's name, ``beta`` the part of the
    loss that is `distillation_loss` at ``temperature``."""

    network: Classifier
    architecture: str
    data: Images
    beta: float
    temperature: float | None

    @cached_property
    def logits(self) -> torch.Tensor:
        """The teacher's logits (N, K) of all images. The teacher sees each image as in its own evaluation, whatever
        crop of it the student sees, so that its recorded gamma describes these targets."""
        prepare = protocol_of(self.architecture).prepare
        with torch.no_grad():
            return torch.cat([self.network(prepare(pixels)) for pixels in self.data.pixels.split(500)])


def distillation_loss(logits: torch.Tensor, teacher_logits: torch.Tensor, temperature: float | None) -> torch.Tensor:
    """The loss (N,) of a student's ``logits`` (N, K) for those of its teacher.

    It is the cross entropy in nats with the teacher's probabilities at ``temperature``. For None it is half the mean
    over classes of the squared difference of the logits: the limit of T^2 times the divergence of the two networks at
    temperature T, for logits of mean 0 (Hinton et al. 2015, section 2.1).
    """
    if temperature is None:
        return 0.5 * (logits - teacher_logits).square().mean(dim=-1)
    return -((teacher_logits / temperature).softmax(dim=-1) * logits.log_softmax(dim=-1)).sum(dim=-1)


def distillation_of(
    folder: Path, data: Images, beta: float, temperature: float | None
) -> tuple[Distillation, Teacher, TeacherRun]:
    """The distillation of a finished run's network on ``data``, and the description of that teacher for records.

    Raises VisionError without a finished run, RecordError without its records.
    """
    network, settings = trained(folder, data.pixels.device)
    checkpoint = weights_hash(network.state_dict())
    gammas = [
        record.gamma
        for record in records.read(folder / "records.jsonl")
        if record.gamma is not None and record.temperature == temperature and record.sha["checkpoint"] == checkpoint
    ]
    teacher = Teacher(architecture=settings.network, smoothing=settings.smoothing, temperature=temperature, beta=beta)
    run = TeacherRun(run=folder.resolve().name, checkpoint=checkpoint, gamma=gammas[-1] if gammas else None)
    return Distillation(network, settings.network, data, beta, temperature), teacher, run
