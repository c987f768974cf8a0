"""Penultimate activations: their plane through three templates (Figures 1 and 7), and their geometry.

The figures are those of Müller et al. 2019. A template is a column of the last layer's weights with its bias appended,
and an activation has 1 appended (section 1.1); a layer without a bias needs neither. The origin of the plane is the
mean of the templates. Its basis is the QR decomposition of their differences.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch.nn import functional

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
    """Numbers for Figure 1, of activations ``points`` (N, D), ``labels`` (N,) and the ``templates`` of all classes:
    (K, D), or (K, D + 1) with biases.

    - ``variance_within``, ``variance_between``: traces of the covariances within and between classes. The second is of
      the class means, each with the same weight.
    - ``distance_to_own``: mean distance to the template of the label.
    - ``spread_of_others``: deviation of the distances to the other templates over their mean (0: equidistant).
    - ``spread_of_wrong_logits``: the `logit_spread`, absent where it is infinite.
    - ``nc1``: neural collapse (Papyan et al. 2020), tr(within pinv(between)) / K.
    - ``nc2_norms``, ``nc2_angles``: of the class means about their mean, the deviation of the norms over their mean,
      and the mean of |cosine + 1 / (K - 1)| over pairs.
    - ``class_separation``: the `class_separation`, which needs no templates.
    - ``triangle_projected``, ``triangle_means``, ``triangle_templates``: the `triangles`, of at least three classes.

    The scale of the activations changes the variances, the distances and ``spread_of_others``, and without biases no
    other number.
    """
    classes = labels.unique()
    k = len(classes)
    means = torch.stack([points[labels == c].mean(dim=0) for c in classes])
    rank = torch.searchsorted(classes, labels)
    residual = points - means[rank]
    centred = means - means.mean(dim=0)
    within, between = residual.t() @ residual / len(points), centred.t() @ centred / k
    norms = centred.norm(dim=1)
    cosines = (centred @ centred.t()) / norms.outer(norms)
    off = ~torch.eye(k, dtype=torch.bool)
    if templates.size(1) > points.size(1):
        points, means = (functional.pad(values, (0, 1), value=1.0) for values in (points, means))
    own, others = _own_and_others(torch.cdist(points, templates), labels)
    spread = logit_spread(points @ templates.t(), labels)
    return {
        "variance_within": within.trace().item(),
        "variance_between": between.trace().item(),
        "distance_to_own": own.mean().item(),
        "spread_of_others": (others.std(dim=1) / others.mean(dim=1)).mean().item(),
        **({} if math.isinf(spread) else {"spread_of_wrong_logits": spread}),
        "nc1": (within @ torch.linalg.pinv(between)).trace().item() / k,
        "nc2_norms": (norms.std() / norms.mean()).item(),
        "nc2_angles": (cosines + 1 / (k - 1)).abs()[off].mean().item(),
        "class_separation": class_separation(points[:, : centred.size(1)], labels),
        **(triangles(means, templates[classes]) if k > 2 else {}),
    }


def _own_and_others(values: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The values (N,) of each label, and (N, K - 1) of the other classes, of ``values`` (N, K)."""
    wrong = torch.arange(values.size(1)) != labels.unsqueeze(1)
    return values.gather(1, labels.unsqueeze(1))[:, 0], values[wrong].view(len(values), -1)


def logit_spread(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """The deviation of an activation's wrong logits over their distance to the right one; the median of activations.

    The distance is the right logit less the mean of the wrong ones, of ``logits`` (N, K). The number is 0 where all
    wrong logits are equal, and the scale of the logits does not change it. Of an activation whose right logit is not
    above that mean it is infinite, and so may the median be.
    """
    right, wrong = _own_and_others(logits, labels)
    gap = right - wrong.mean(dim=1)
    return torch.where(gap > 0, wrong.std(dim=1) / gap, math.inf).median().item()


def class_separation(points: torch.Tensor, labels: torch.Tensor) -> float:
    """R^2 of Kornblith et al. (2021, arXiv:2010.16402): 1 - (mean cosine distance within classes) / (mean of all).

    Each mean is over ordered pairs of activations ``points`` (N, D), a point and itself included. Every class has the
    same weight within, every pair of classes in all. 1: classes are single directions; 0: they are not seen.
    """
    directions = functional.normalize(points, dim=1)
    means = torch.stack([directions[labels == c].mean(dim=0) for c in labels.unique()])
    # The mean cosine of two classes' points is the product of their mean directions.
    within, total = 1 - means.square().sum(dim=1).mean(), 1 - means.mean(dim=0).square().sum()
    return (1 - within / total).item()


def triangles(means: torch.Tensor, templates: torch.Tensor) -> dict[str, float]:
    """The irregularity of the triangles of three classes: the deviation of the sides over their mean, averaged over all
    triples. 0: all are equilateral.

    - ``triangle_means``: their corners are the classes' ``means`` (K, D) of activations;
    - ``triangle_projected``: those means on the plane through the three templates, as Figure 1 shows them;
    - ``triangle_templates``: the ``templates`` (K, D).
    """
    parts = []
    for first in range(len(means) - 2):  # the triples of one class at a time: they grow with the cube of K
        others = torch.combinations(torch.arange(first + 1, len(means)), 2)
        triples = functional.pad(others, (1, 0), value=first)
        corners, of_templates = means[triples], templates[triples]
        basis = torch.linalg.qr((of_templates[:, :2] - of_templates[:, 2:]).transpose(1, 2)).Q
        parts.append(torch.stack([_irregularity(each) for each in (corners, corners @ basis, of_templates)]))
    means_of = torch.cat(parts, dim=1).mean(dim=1).tolist()
    return dict(zip(("triangle_means", "triangle_projected", "triangle_templates"), means_of, strict=True))


def _irregularity(corners: torch.Tensor) -> torch.Tensor:
    """The deviation (n,) of the sides of triangles with ``corners`` (n, 3, D) over their mean."""
    sides = (corners - corners.roll(1, dims=1)).norm(dim=2)
    return sides.std(dim=1) / sides.mean(dim=1)


def triangle(
    points: torch.Tensor, labels: torch.Tensor, templates: torch.Tensor, classes: Sequence[int]
) -> dict[str, float]:
    """The `triangles` of three ``classes``, each with a label: one triangle, that of their drawing.

    ``points`` (N, D) and the templates (K, D) of all classes are those of `on_plane`.
    """
    means = torch.stack([points[labels == c].mean(dim=0) for c in classes])
    return triangles(means, templates[list(classes)])


def on_plane(
    points: torch.Tensor, labels: torch.Tensor, templates: torch.Tensor, classes: Sequence[int]
) -> dict[str, list[list[float]]]:
    """Three ``classes`` on the plane through their templates, in coordinates x and y rounded to float32.

    ``points`` are [x, y, rank] of the first `N_EACH` activations of each class, class after class. The rank is
    the place of the class among the three. ``templates`` are [x, y] of the three templates.
    """
    corners = templates[list(classes)]
    plane = plane_through(corners)
    chosen = [(labels == c).nonzero()[:N_EACH, 0] for c in classes]
    ranks = [rank for rank, places in enumerate(chosen) for _ in places]
    flat = _coordinates(plane, points[torch.cat(chosen)])
    return {
        "points": [[*place, rank] for place, rank in zip(flat, ranks, strict=True)],
        "templates": _coordinates(plane, corners),
    }


def _coordinates(plane: Plane, points: torch.Tensor) -> list[list[float]]:
    """The coordinates as the shortest numbers that are them in float32."""
    return [[float(str(x)), float(str(y))] for x, y in plane.project(points).numpy().astype("f4")]
