"""The paper's Figure 1: penultimate activations on the plane through three templates, and its geometry in numbers.

A template is a column of the last layer's weights with its bias appended, an activation has 1 appended (section 1.1).
The plane's origin is the templates' mean, its basis the QR decomposition of their differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure

from .. import plots
from ..table import Row, select
from . import VisionError
from .images import Images
from .networks import Classifier
from .training import protocol_of

N_EACH = 100
"""Images of each class that are drawn: 300 for the three."""


class Plane(NamedTuple):
    """``origin`` (D,) and an orthonormal ``basis`` (D, 2)."""

    origin: torch.Tensor
    basis: torch.Tensor

    def project(self, points: torch.Tensor) -> torch.Tensor:
        """(N, 2) of ``points`` (N, D)."""
        return (points - self.origin) @ self.basis


def plane_through(templates: torch.Tensor) -> Plane:
    """The plane through three ``templates`` (3, D). Raises VisionError for another number, or three on a line."""
    if len(templates) != 3:
        raise VisionError(f"a plane needs three classes, not {len(templates)}")
    differences = (templates[:2] - templates[2]).double()
    basis, corner = torch.linalg.qr(differences.t())
    if corner.diagonal().abs().min() <= 1e-9 * corner.abs().max():
        raise VisionError("three templates on a line span no plane; choose other classes")
    return Plane(templates.double().mean(dim=0), basis)


@torch.no_grad()
def activations(network: Classifier, name: str, data: Images) -> torch.Tensor:
    """(N, D + 1): penultimate activations with 1 appended."""
    prepare = protocol_of(name).plain
    network.eval()
    found = torch.cat([network.body(prepare(pixels)).double().cpu() for pixels in data.pixels.split(500)])
    return torch.cat([found, torch.ones(len(found), 1, dtype=torch.float64)], dim=1)


def templates_of(network: Classifier) -> torch.Tensor:
    """(K, D + 1): the rows of the last layer with their biases."""
    head = network.head
    return torch.cat([head.weight, head.bias.unsqueeze(1)], dim=1).detach().double().cpu()


def geometry(points: torch.Tensor, labels: torch.Tensor, templates: torch.Tensor) -> dict[str, float]:
    """What Figure 1 shows, in numbers, of activations ``points`` (N, D), their ``labels`` (N,) and templates (K, D) of
    all classes: variance within and between classes (traces of the covariances), the mean distance to the own template,
    the deviation of the distances to the others in parts of their mean (0: equidistant), and of neural collapse
    (Papyan et al. 2020) NC1 = tr(within pinv(between)) / K, and NC2 of the class means about their mean: the variation
    of their norms, and the mean of |cosine + 1 / (K - 1)| over pairs."""
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
        "variance_within": within.trace().item(), "variance_between": between.trace().item(),
        "distance_to_own": own.mean().item(),
        "spread_of_others": (others.std(dim=1) / others.mean(dim=1)).mean().item(),
        "nc1": (within @ torch.linalg.pinv(between)).trace().item() / k,
        "nc2_norms": (norms.std() / norms.mean()).item(),
        "nc2_angles": (cosines + 1 / (k - 1)).abs()[off].mean().item(),
    }  # fmt: skip


def shown(
    points: torch.Tensor, labels: torch.Tensor, templates: torch.Tensor, classes: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """(M, 2) the first `N_EACH` activations of each of three classes on the plane through their templates, and (M,)
    which of the three each is of."""
    plane = plane_through(templates[list(classes)])
    chosen = [(labels == c).nonzero()[:N_EACH, 0] for c in classes]
    rank = torch.repeat_interleave(torch.arange(3), torch.tensor([len(places) for places in chosen]))
    return plane.project(points[torch.cat(chosen)]), rank


def figure(rows: Sequence[Row], seed: int = 1) -> Figure | None:
    """A line of panels for each network and plane that was recorded, with hard targets and smoothed, train and
    validation; the panels of a line that show one model share a scale. None if there is none."""
    rows = select(rows, mode="images", temperature=1.0, seed=seed, teacher=None)
    lines = [
        (network, names, found[-1])
        for network in sorted({str(row.record.network) for row in rows})
        for names in _planes(select(rows, network=network))
        for alpha in (0.0, 0.1)
        for split in ("train", "valid")
        if (found := select(rows, network=network, split=split, alpha=alpha))
    ]
    n_lines = len(dict.fromkeys((network, names) for network, names, _ in lines))
    if not n_lines or len(lines) != 4 * n_lines:
        return None
    fig, grid = plots.new(n_lines, 4, width=10, height=2.9 * n_lines)
    for axis, (network, names, row) in zip(np.array(grid).ravel(), lines, strict=True):
        _panel(axis, row, names)
        axis.set_title(f"{network}, α = {row.record.alpha:g}, {row.record.split}")
    plots.sign(fig, [row.record.signature for _, _, row in lines])
    return fig


def _planes(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    found = [tuple(names) for row in rows for names in (row.record.geometry or {}).get("planes", [])]
    return list(dict.fromkeys(found))


def _panel(axis: Any, row: Row, names: tuple[str, ...]) -> None:
    place = [tuple(known) for known in (row.record.geometry or {})["planes"]].index(names)
    points, rank = row.array(f"plane_{place}"), row.array(f"plane_{place}_class")
    if points is None or rank is None:
        return
    for c, (name, marker) in enumerate(zip(names, "so^", strict=True)):
        colour = (plots.RED, plots.BLUE, plots.GREEN)[c]
        axis.scatter(*points[rank == c].T, s=7, color=colour, marker=marker, alpha=0.6, linewidths=0, label=name)
    axis.legend(frameon=False, fontsize=7, markerscale=1.5)
    reach = 1.1 * float(np.abs(points).max())
    axis.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
