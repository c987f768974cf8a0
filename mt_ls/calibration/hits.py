"""The one rule of what a hit is, for predictions whose target is known."""

from __future__ import annotations

import torch


def is_hit(target_logit: torch.Tensor, greatest_logit: torch.Tensor) -> torch.Tensor:
    """Whether the prediction equals the target: no class has a greater logit than the target.

    Both arguments and the result have the shape (N,) or (N, 1). A target that shares the greatest logit with other
    classes is a hit, whichever of them an argmax would name. NaN is never a hit.
    """
    return target_logit >= greatest_logit
