"""Curves of a training outside of its log: the packages that ``--tensorboard-logdir`` and ``--wandb-project`` need."""

from __future__ import annotations

from typing import Any

from fairseq.logging import progress_bar


def check_curves(common: Any) -> None:
    """Raise ValueError where curves are asked for and the package that takes them is missing.

    fairseq says so in one line of its log, and trains without curves.
    """
    if common.tensorboard_logdir and progress_bar.SummaryWriter is None:
        raise ValueError("--tensorboard-logdir needs a package that is missing: pip install tensorboard")
    # A folder ./wandb, which wandb itself makes, can be imported too.
    if common.wandb_project and not hasattr(progress_bar.wandb, "init"):
        raise ValueError("--wandb-project needs a package that is missing: pip install wandb")
