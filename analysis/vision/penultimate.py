"""python -m analysis.vision.penultimate HARD SMOOTHED --data DATA --classes airplane automobile bird --out FOLDER

The paper's Figure 1: penultimate activations on the plane through three templates, without and with smoothing, of train
and of validation. A template is a column of the last layer's weights with its bias appended, an activation has 1
appended (section 1.1). The plane's origin is the templates' mean, its basis the QR decomposition of their differences.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from matplotlib.figure import Figure

from mt_ls.records import RecordError

from .. import plots
from . import VisionError, images
from .images import Images
from .networks import Classifier
from .training import protocol_of, trained

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
    """The plane through three ``templates`` (3, D). Raises VisionError for three on a line."""
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


def some_of(data: Images, classes: Sequence[int], n: int = N_EACH) -> Images:
    """The first ``n`` images of each of the classes."""
    chosen = torch.cat([(data.labels == c).nonzero()[:n, 0] for c in classes])
    return Images(data.pixels[chosen], data.labels[chosen])


def figure(panels: Sequence[tuple[str, torch.Tensor, torch.Tensor]], names: Sequence[str]) -> Figure:
    """A panel each: its title, the points (N, 2), and which of the three classes each is (N,). Panels of one network
    share their scale."""
    fig, axes = plots.new(1, len(panels), width=2.6 * len(panels), height=3.0)
    colours, markers = (plots.RED, plots.BLUE, plots.GREEN), "so^"
    for axis, (title, points, rank) in zip(axes, panels, strict=True):
        for c, name in enumerate(names):
            x, y = points[rank == c].t().tolist()
            axis.scatter(x, y, s=7, color=colours[c], marker=markers[c], alpha=0.6, linewidths=0, label=name)
        axis.set_title(title)
        axis.set_aspect("equal", adjustable="datalim")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return fig


def main(arguments: list[str] | None = None) -> int:
    """Draw the figure; 0, or 2 with one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m analysis.vision.penultimate", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of finished runs, a pair of panels each")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--classes", nargs=3, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    try:
        draw(options)
    except (VisionError, RecordError) as error:
        print(f"analysis.vision.penultimate: error: {error}", file=sys.stderr)
        return 2
    return 0


def draw(options: argparse.Namespace) -> None:
    """Figure 1 of the runs."""
    known = images.manifest(options.data)["classes"]
    unknown = [name for name in options.classes if name not in known]
    if unknown:
        raise VisionError(f"no class {unknown[0]!r}; there are {', '.join(known)}")
    three = [known.index(name) for name in options.classes]
    panels = []
    for run in options.runs:
        network, settings = trained(run, torch.device("cpu"))
        templates = templates_of(network)
        plane = plane_through(templates[three])
        for split in ("train", "valid"):
            data = images.load(options.data, split)
            shown = some_of(data, three)
            points = plane.project(activations(network, settings.network, shown))
            rank = torch.tensor([three.index(int(label)) for label in shown.labels])
            panels.append((f"α = {settings.alpha:g}, {split}", points, rank))
    plots.save(figure(panels, options.classes), options.out, "penultimate_" + "_".join(options.classes))


if __name__ == "__main__":
    sys.exit(main())
