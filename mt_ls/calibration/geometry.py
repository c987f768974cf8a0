"""Penultimate activations: their plane through three templates (Figures 1 and 7), and their geometry.

The figures are those of Müller et al. 2019. A template is a column of the last layer's weights with its bias appended,
and an activation has 1 appended (section 1.1); a layer without a bias needs neither. The origin of the plane is the
mean of the templates. Its basis is the QR decomposition of their differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

N_EACH = 100
"""Activations of each class on a plane: 300 for the three classes."""


class Plane(NamedTuple):
    """``origin`` (D,) and an orthonormal ``basis`` (D, 2)."""

    origin: torch.Tensor
    basis: torch.Tensor

    def project(self, points: torch.Tensor) -> torch.Tensor:
        """Coordinates (N, 2) of ``points`` (N, D)."""
        return (points - self.origin) @ self.basis


def plane_through(templates: torch.Tensor) -> Plane:
    """The plane through three ``templates`` (3, D). Raises ValueError for another number, and for three on a line."""
    if len(templates) != 3:
        raise ValueError(f"a plane needs three classes, not {len(templates)}")
    differences = (templates[:2] - templates[2]).double()
    basis, corner = torch.linalg.qr(differences.t())
    if corner.diagonal().abs().min() <= 1e-9 * corner.abs().max():
        raise ValueError("three templates on a line span no plane; choose other classes")
    return Plane(templates.double().mean(dim=0), basis)


def geometry(points: torch.Tensor, labels: torch.Tensor, templates: torch.Tensor) -> dict[str, float]:
    """Numbers for Figure 1, of activations ``points`` (N, D), ``labels`` (N,) and the templates (K, D) of all classes.

    - ``variance_within``, ``variance_between``: traces of the covariances within and between classes.
    - ``distance_to_own``: mean distance to the template of the label.
    - ``spread_of_others``: deviation of the distances to the other templates over their mean (0: equidistant).
    - ``nc1``: neural collapse (Papyan et al. 2020), tr(within pinv(between)) / K.
    - ``nc2_norms``, ``nc2_angles``: of the class means about their mean, the deviation of the norms over their mean,
      and the mean of |cosine + 1 / (K - 1)| over pairs.
    """
    classes = labels.unique()
    k = len(classes)
    means = torch.stack([points[labels == c].mean(dim=0) for c in classes])
    rank = torch.searchsorted(classes, labels)
    residual = points - means[rank]
    centred = means - means.mean(dim=0)
    within, between = residual.t() @ residual / len(points), centred.t() @ centred / k
    distances = torch.cdist(points, templates)
    own = distances.gather(1, labels.unsqueeze(1))[:, 0]
    others = distances[torch.arange(len(templates)) != labels.unsqueeze(1)].view(len(points), -1)
    norms = centred.norm(dim=1)
    cosines = (centred @ centred.t()) / norms.outer(norms)
    off = ~torch.eye(k, dtype=torch.bool)
    return {
        "variance_within": within.trace().item(),
        "variance_between": between.trace().item(),
        "distance_to_own": own.mean().item(),
        "spread_of_others": (others.std(dim=1) / others.mean(dim=1)).mean().item(),
        "nc1": (within @ torch.linalg.pinv(between)).trace().item() / k,
        "nc2_norms": (norms.std() / norms.mean()).item(),
        "nc2_angles": (cosines + 1 / (k - 1)).abs()[off].mean().item(),
    }


def plane_points(
    points: torch.Tensor, labels: torch.Tensor, templates: torch.Tensor, classes: Sequence[int]
) -> list[list[float]]:
    """Return [x, y, rank] of the first `N_EACH` activations of each of three ``classes``, class after class.

    x and y are coordinates on the plane through the templates of the classes, rounded to float32; ``rank`` is the place
    of the class among the three.
    """
    plane = plane_through(templates[list(classes)])
    chosen = [(labels == c).nonzero()[:N_EACH, 0] for c in classes]
    flat = plane.project(points[torch.cat(chosen)]).numpy().astype("f4")
    ranks = [rank for rank, places in enumerate(chosen) for _ in places]
    return [[float(str(x)), float(str(y)), rank] for (x, y), rank in zip(flat, ranks, strict=True)]
