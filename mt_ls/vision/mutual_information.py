"""The mutual information of an image's index and a difference of two logits (section 4 and Figure 6).

For N training images x, drawn evenly, with L augmentations each, let y be the difference for a fresh augmentation of x,
mu_x the mean over its L augmentations, and p(y | x) a Gaussian about mu_x with one pooled variance s2. The estimate is

    I = mean over x of [ -(y_x - mu_x)^2 / 2 s2  -  log( mean over x' of exp( -(y_x - mu_x')^2 / 2 s2 ) ) ]  nats,

in [0, log N]. It differs from the paper's text in two points:

- The paper prints the same index in both sums, which gives -1/2 + log(2)/2 for any network.
- y is none of the L differences that make mu_x: with one of those the estimate is too high.
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


def estimate(samples: torch.Tensor, fresh: torch.Tensor) -> float:
    """The mutual information in nats, from differences ``samples`` (N, L) for the means and ``fresh`` (N,) for y."""
    samples, fresh = samples.double(), fresh.double()
    mean = samples.mean(dim=1)
    own = (fresh - mean).square()
    variance = own.mean()
    others = (fresh.unsqueeze(1) - mean).square()  # others[x, x'] is of y_x and mu_x'
    log_mean = torch.logsumexp(-others / (2 * variance), dim=1) - torch.tensor(len(mean)).log()
    return float((-own / (2 * variance) - log_mean).mean())


@torch.no_grad()
def measure(network: Classifier, record: Record, pair: Pair, records: Path) -> None:
    """Append a copy of the empty ``record`` with the estimate, unless the file ``records`` has it.

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
    drawn = [protocol.draw(n, shape, rng).to(pixels.device) for _ in range(N_SAMPLES + 1)]
    logits = torch.stack([network(protocol.training_images(pixels, numbers)) for numbers in drawn], dim=1).cpu()
    first, second = pair.classes.numbers
    difference = logits[..., first] - logits[..., second]
    nats = estimate(difference[:, :N_SAMPLES], difference[:, N_SAMPLES])
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
            mutual_information={"nats": nats, "classes": list(pair.classes.names), "samples": N_SAMPLES},
        ),
    )
