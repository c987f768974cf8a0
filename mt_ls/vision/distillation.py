"""Distillation (section 4; Hinton et al. 2015): targets from a trained teacher."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from .. import records
from ..records import Sight, Teacher, TeacherRun
from ..weights import weights_hash
from . import VisionError
from .checkpoints import trained
from .images import Images
from .networks import Classifier
from .protocols import protocol_of

_N_AT_ONCE = 1024
"""Images of a teacher's pass."""


@dataclass(frozen=True)
class Distillation:
    """A teacher's targets for the images ``data``. ``architecture`` is the teacher's name, ``beta`` the part of the
    loss that is `distillation_loss` at ``temperature``.

    A teacher that ``sees`` "whole" images sees each one as in its own evaluation, whatever crop of it the student sees,
    so that its recorded gamma describes these targets. One that sees "augmented" images sees the inputs of the student,
    as in tensor2tensor: of an AlexNet's 24 x 24 crops a ResNet's mean is over fewer places. With ``bf16`` its products
    are then in bfloat16, as the student's are.
    """

    network: Classifier
    architecture: str
    data: Images
    beta: float
    temperature: float | None
    sees: Sight = "whole"
    bf16: bool = False

    @cached_property
    def logits(self) -> torch.Tensor:
        """The teacher's logits (N, K) of all whole images."""
        prepare = protocol_of(self.architecture).prepare
        with torch.no_grad():
            return torch.cat([self.network(prepare(pixels)) for pixels in self.data.pixels.split(500)])

    def targets(self, places: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """The teacher's logits (B, K) of the images at ``places`` (B,), of which the student sees ``x``."""
        if self.sees == "whole":
            return self.logits[places]
        with torch.no_grad(), torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16):
            return torch.cat([self.network(inputs) for inputs in x.split(_N_AT_ONCE)]).float()


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
    folder: Path,
    data: Images,
    student: str,
    beta: float,
    temperature: float | None,
    sees: Sight = "whole",
    bf16: bool = False,
) -> tuple[Distillation, Teacher, TeacherRun]:
    """The distillation of a finished run's network to a ``student`` on ``data``, and the description of that teacher
    for records.

    Raises VisionError without a finished run, or for a teacher that cannot take the student's images; RecordError
    without its records.
    """
    network, settings = trained(folder, data.pixels.device)
    if sees == "augmented":
        _check_inputs(network, settings.network, student, data)
    checkpoint = weights_hash(network.state_dict())
    gammas = [
        record.gamma
        for record in records.read(folder / "records.jsonl")
        if record.gamma is not None and record.temperature == temperature and record.sha["checkpoint"] == checkpoint
    ]
    teacher = Teacher(
        architecture=settings.network, smoothing=settings.smoothing, temperature=temperature, beta=beta, sees=sees
    )
    run = TeacherRun(run=folder.resolve().name, checkpoint=checkpoint, gamma=gammas[-1] if gammas else None)
    return Distillation(network, settings.network, data, beta, temperature, sees, bf16), teacher, run


def _check_inputs(network: Classifier, teacher: str, student: str, data: Images) -> None:
    """Raise VisionError for a teacher that cannot take the inputs of the student."""
    inputs = protocol_of(student).prepare(data.pixels[:1])
    try:
        with torch.no_grad():
            network(inputs)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError:
        size = " x ".join(map(str, inputs.shape[2:]))
        raise VisionError(
            f"{teacher} takes no images of {size} pixels, which {student} sees; let it see whole images"
        ) from None
