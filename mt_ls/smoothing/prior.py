"""The prior over classes of a smoothing: None for the uniform one, else a tensor of probabilities."""

from __future__ import annotations

import numpy as np
import torch

from .kinds import Smoothing

_TOLERANCE = 1e-4  # of the sum of float32 probabilities


def prior_of(smoothing: Smoothing, counts: np.ndarray | None = None) -> torch.Tensor | None:
    """The prior of ``smoothing``: None for "uniform", for "unigram" the frequencies (K,) of ``counts`` (K,), float32.

    A class with count 0 has probability 0. Raises ValueError for unigram smoothing without a positive count.
    """
    if smoothing.kind == "uniform":
        return None
    if counts is None or not (np.min(counts, initial=0) >= 0 and np.sum(counts) > 0):
        raise ValueError(f"{smoothing.kind} smoothing needs the token counts of the training targets")
    return torch.from_numpy(np.asarray(counts, dtype="f8") / np.sum(counts)).float()


def checked_prior(smoothing: Smoothing, prior: torch.Tensor | None, n_classes: int) -> torch.Tensor | None:
    """The prior that the loss of ``n_classes`` classes needs: ``prior`` itself, or None for the uniform formula.

    The uniform formula serves uniform smoothing and an amount of 0. Raises ValueError for a prior that is missing, is
    given for uniform smoothing, has another length than ``n_classes``, or does not sum to 1.
    """
    if smoothing.kind == "uniform":
        if prior is not None:
            raise ValueError("uniform smoothing takes no prior: it is 1/K")
        return None
    if not smoothing.amount:
        return None
    if prior is None:
        raise ValueError(f"{smoothing.kind} smoothing needs a prior over {n_classes} classes")
    if prior.shape != (n_classes,):
        raise ValueError(f"a prior over {n_classes} classes must have shape ({n_classes},), not {tuple(prior.shape)}")
    # Reading a sum from a GPU waits for the device, at every batch.
    if prior.device.type == "cpu" and not abs((total := prior.sum(dtype=torch.float64).item()) - 1) <= _TOLERANCE:
        raise ValueError(f"a prior must sum to 1, not {total:g}")
    return prior
