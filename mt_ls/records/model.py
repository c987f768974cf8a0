"""Who was measured: the identity of a model, without what its training seed varies."""

from __future__ import annotations

from typing import Literal

import msgspec

from ..smoothing.kinds import Smoothing

Sight = Literal["whole", "augmented"]
"""The images that a teacher sees: whole ones, or those of its student's augmentation."""


class Teacher(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The network that a student learnt from: ``beta`` is the teacher's part of the loss, ``temperature`` that of its
    probabilities, None where the student matched its logits, and ``sees`` which images it is given."""

    architecture: str
    smoothing: Smoothing
    temperature: float | None
    beta: float
    sees: Sight = "whole"


class Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Two runs are of one model if they agree in all of this; they may then differ in their training seed.

    ``precision`` is that of the training, None for float32. ``checkpoint`` is the kind of checkpoint that was measured:
    "last", "best", "average of 10", or another file's name. ``pairs`` and ``vocabulary`` are the numbers of training
    pairs and of subwords, where the corpus is prepared in several sizes. A field that is not known is None.
    """

    corpus: str
    architecture: str | None = None
    smoothing: Smoothing | None = None
    precision: str | None = None
    teacher: Teacher | None = None
    checkpoint: str | None = None
    pairs: int | None = None
    vocabulary: int | None = None

    @property
    def amount(self) -> float | None:
        """The amount of smoothing; None where it is not known."""
        return None if self.smoothing is None else self.smoothing.amount

    @property
    def without_smoothing(self) -> Model:
        """The model but for its smoothing: equal for models that differ in nothing else."""
        return msgspec.structs.replace(self, smoothing=None)
