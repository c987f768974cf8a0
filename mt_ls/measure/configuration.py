"""The contents of a fairseq checkpoint in words of a record: its configuration, and why a file is none."""

from __future__ import annotations

import pickle
import re
from typing import Any

from ..smoothing.kinds import Smoothing
from ..terminal import first_line

FAMILY = "checkpoint_family"
"""The key of a checkpoint that names its kind, such as "average of 10", where the file's name does not say it."""


def why_not_loaded(error: Exception) -> str:
    """Return the reason that a file is no checkpoint, from the error of unpickling it."""
    foreign = re.search(r"(?:GLOBAL|class) ([\w.]+\.\w+)", str(error))  # torch's words for a type that it refuses
    if foreign:
        return (
            f"asks for {foreign[1]}, which fairseq's checkpoints do not need, and was not loaded: unpickling it can "
            "run any code. If you trust the author of the file, put TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1 before this "
            "command"
        )
    # torch's own words are about a default of torch.load
    if isinstance(error, pickle.UnpicklingError | EOFError) or "weights_only" in str(error):
        return "not a fairseq checkpoint: torch cannot read it"
    if isinstance(error, KeyError):
        return f"not a fairseq checkpoint: it lacks what fairseq saves, such as {error}"
    if isinstance(error, RuntimeError | OSError):
        return f"not a fairseq checkpoint: torch cannot read it ({first_line(error)[:120]})"
    return "not a fairseq checkpoint: its contents are not those that fairseq saves"


def architecture_of(model_cfg: Any) -> str | None:
    """The name under which the architecture is registered with fairseq, for example "transformer_iwslt_de_en"."""
    return getattr(model_cfg, "_name", None) or getattr(model_cfg, "arch", None)


def smoothing_of(criterion_cfg: Any) -> Smoothing | None:
    """The label smoothing of a criterion; None where the checkpoint does not name its criterion.

    A criterion without smoothing, and every amount of 0, is ``Smoothing()``. A criterion that has no option for the
    convention, such as stock ``label_smoothed_cross_entropy``, follows fairseq's. Raises ValueError for options that
    are no smoothing.
    """
    if not getattr(criterion_cfg, "_name", None):
        return None
    amount = float(getattr(criterion_cfg, "label_smoothing", None) or 0.0)
    if amount == 0:
        return Smoothing()
    kind = str(getattr(criterion_cfg, "smoothing_kind", None) or "uniform")
    convention = str(getattr(criterion_cfg, "smoothing_convention", None) or "fairseq")
    return Smoothing(kind, amount, convention)  # type: ignore[arg-type]


def precision_of(common_cfg: Any) -> str | None:
    """The precision of the training: "fp16", "bf16", or None for float32."""
    for precision in ("fp16", "bf16"):
        if any(getattr(common_cfg, f"{prefix}{precision}", False) for prefix in ("", "memory_efficient_")):
            return precision
    return None


def seed_of(common_cfg: Any) -> int | None:
    """The seed of the training; None where the checkpoint does not name it. Raises ValueError for another value."""
    seed = getattr(common_cfg, "seed", None)
    try:
        number = None if seed is None else int(seed)
    except (ValueError, TypeError, OverflowError):
        number = None
    if seed is not None and (number is None or str(number) != str(seed)):
        raise ValueError(f"{seed!r} is no whole number")
    return number
