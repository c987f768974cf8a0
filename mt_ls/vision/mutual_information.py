"""The mutual information of an image's index and a difference of two logits (section 4 and Figure 6).

For N training images x, drawn evenly, with L augmentations each, let y be the difference for a fresh augmentation of x,
mu_x the mean over its L augmentations, and p(y | x) a Gaussian about mu_x with one pooled variance s2. The estimate is

    I = mean over x of [ -(y_x - mu_x)^2 / 2 s2  -  log( mean over x' of exp( -(y_x - mu_x')^2 / 2 s2 ) ) ]  nats,

in [0, log N]. The paper prints the same index in both sums, which gives -1/2 + log(2)/2 for any network. It does not
say whether y is one of the L differences that make mu_x. A fresh y makes the estimate too low and a reused one too
high, both less with a larger L: so each is measured, with the paper's L and a larger one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from msgspec.structs import replace

from ..calibration.bins import Bins
from ..calibration.sums import bin_sums
from ..records import Record, append, read
from ..smoothing.logits import smoothed_cross_entropy
from . import VisionError
from .images import Classes, Images, Manifest
from .networks import Classifier
from .protocols import protocol_of

N_IMAGES, N_SAMPLES = 300, 5
"""Images of each class, and augmentations of each image for its mean (A.2)."""
N_MORE_SAMPLES = 50
"""Augmentations of each image for a mean with a tenth of the variance."""
_AT_ONCE = 100
"""Images that pass through the network at once: their activations fit a CPU's cache, which halves the time."""


class Pair(NamedTuple):
    """Images of two classes, and these ``classes``."""

    data: Images
    classes: Classes


def pair_of(data: Images, manifest: Manifest, names: Sequence[str], architecture: str) -> Pair:
    """The first `N_IMAGES` images of each of two classes, or fewer: as many of one as of the other.

    Raises VisionError for a name that no class has, a class without images, or an ``architecture`` whose training
    images are not augmented, so that p(y | x) has no variance.
    """
    if protocol_of(architecture).augment is None:
        raise VisionError(f"--information: the training images of {architecture} are not augmented; it has none")
    classes = manifest.chosen(names)
    places = [(data.labels == number).nonzero()[:, 0] for number in classes.numbers]
    n = min(N_IMAGES, *map(len, places))
    if not n:
        raise VisionError(f"no image of {' or '.join(names)}; choose other classes")
    chosen = torch.cat([place[:n] for place in places])
    return Pair(Images(data.pixels[chosen], data.labels[chosen]), classes)


def estimate(samples: torch.Tensor, y: torch.Tensor) -> float:
    """The mutual information in nats, from differences ``samples`` (N, L) for the means and ``y`` (N,)."""
    samples, y = samples.double(), y.double()
    mean = samples.mean(dim=1)
    own = (y - mean).square()
    variance = own.mean()
    others = (y.unsqueeze(1) - mean).square()  # others[x, x'] is of y_x and mu_x'
    log_mean = torch.logsumexp(-others / (2 * variance), dim=1) - torch.tensor(len(mean)).log()
    return float((-own / (2 * variance) - log_mean).mean())


def estimates(differences: torch.Tensor) -> dict[str, float]:
    """The estimates in nats from ``differences`` (N, `N_MORE_SAMPLES` + 1) of N images' augmentations.

    - ``nats``: the means are over the first `N_SAMPLES`, and y is the next difference, a fresh one.
    - ``nats_reused``: the same means, and y is the first difference, which is in the mean.
    - ``nats_50``, ``nats_reused_50``: the same two y, and means over all differences but the fresh one.
    """
    reused, fresh = differences[:, 0], differences[:, N_SAMPLES]
    few = differences[:, :N_SAMPLES]
    many = torch.cat([few, differences[:, N_SAMPLES + 1 :]], dim=1)
    return {
        "nats": estimate(few, fresh),
        "nats_reused": estimate(few, reused),
        f"nats_{N_MORE_SAMPLES}": estimate(many, fresh),
        f"nats_reused_{N_MORE_SAMPLES}": estimate(many, reused),
    }


@torch.no_grad()
def measure(network: Classifier, record: Record, pair: Pair, records: Path) -> None:
    """Append a copy of the empty ``record`` with the `estimates`, unless the file ``records`` has it.

    The calibration in it is that of the pair's images without augmentation. The augmentations' seed is the number of
    updates.
    """
    pixels, labels = pair.data
    n = len(labels)
    record = replace(record, mode="information", split="train", n_sentences=n, n_sentences_in_set=n)
    if records.exists() and any(known.key == record.key for known in read(records)):
        return
    protocol = protocol_of(str(record.model.architecture))
    network.eval()
    rng = torch.Generator().manual_seed(record.updates or 0)
    shape = tuple(pixels.shape[1:])
    first, second = pair.classes.numbers

    def difference() -> torch.Tensor:
        numbers = protocol.draw(n, shape, rng).to(pixels.device)
        blocks = zip(pixels.split(_AT_ONCE), numbers.split(_AT_ONCE), strict=True)
        logits = torch.cat([network(protocol.training_images(*block)) for block in blocks]).cpu()
        return logits[:, first] - logits[:, second]

    nats = estimates(torch.stack([difference() for _ in range(N_MORE_SAMPLES + 1)], dim=1))
    plain = smoothed_cross_entropy(network(protocol.prepare(pixels)).cpu(), labels.cpu())
    bins = Bins.from_sums(bin_sums(plain.confidence.clamp(max=1.0), plain.hit))
    append(
        records,
        replace(
            record,
            bins=bins,
            n_tokens=bins.n,
            nll=plain.nll.mean().item(),
            accuracy=bins.accuracy,
            mutual_information={**nats, "classes": list(pair.classes.names), "samples": N_SAMPLES},
        ),
    )
