"""What a network keeps of its input: the mutual information of an image's index and a difference of two logits.

Section 4 and Figure 6, with the estimator as it must be meant: over N training images x, drawn evenly, with L
augmentations each, y = f(augmented x) and p(y | x) Gaussian about mu_x with one pooled variance s2,

    I = mean over x of [ -(y_x - mu_x)^2 / 2 s2  -  log( mean over x' of exp( -(y_x - mu_x')^2 / 2 s2 ) ) ]  nats,

in [0, log N]. The print has the same index in both sums, which gives -1/2 + log(2)/2 whatever the network does. y is a
draw of its own and none of the L that make mu: with one of those the estimate is too high.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch

from analysis.rows import Row, select

from ..calibration.bins import Bins, bin_sums
from ..records.record import Measurement, append, read
from ..smoothing.loss import smoothed_cross_entropy
from . import images
from .images import Images
from .networks import Classifier
from .training import protocol_of

N_IMAGES, N_SAMPLES = 300, 5
"""Images of each class, and augmentations of each for its mean: A.2's."""


class Pair(NamedTuple):
    """Images of two classes, and the classes' names and numbers."""

    data: Images
    names: tuple[str, str]
    numbers: tuple[int, int]


def estimate(samples: torch.Tensor, fresh: torch.Tensor) -> float:
    """The mutual information (nats) from ``samples`` (N, L) of f for the means, and one ``fresh`` value of each
    (N,)."""
    samples, fresh = samples.double(), fresh.double()
    mean = samples.mean(dim=1)
    own = (fresh - mean).square()
    variance = own.mean()
    others = (fresh.unsqueeze(1) - mean).square()  # others[x, x'] of y_x and mu_x'
    log_mean = torch.logsumexp(-others / (2 * variance), dim=1) - torch.tensor(len(mean)).log()
    return float((-own / (2 * variance) - log_mean).mean())


def pair(data: Images, classes: Sequence[str], names: Sequence[str]) -> Pair:
    """The first `N_IMAGES` training images of two classes, or as many as both have."""
    first, second = images.numbers(classes, names)
    places = [(data.labels == number).nonzero()[:, 0] for number in (first, second)]
    n = min(N_IMAGES, *map(len, places))
    chosen = torch.cat([place[:n] for place in places])
    return Pair(Images(data.pixels[chosen], data.labels[chosen]), (names[0], names[1]), (first, second))


def curves(rows: Iterable[Row], alpha: float) -> dict[int, list[tuple[int, float]]]:
    """(update, nats) after each epoch of the runs with this smoothing, in order, by training seed."""
    found: dict[int, list[tuple[int, float]]] = {}
    for row in select(rows, mode="information", alpha=alpha):
        of = row.record.mutual_information or {}
        found.setdefault(row.record.seed or 0, []).append((row.record.updates or 0, of["nats"]))
    return {seed: sorted(found[seed]) for seed in sorted(found)}


@torch.no_grad()
def record(network: Classifier, template: Measurement, of: Pair, file: Path) -> None:
    """Append the estimate after an epoch, with the calibration of the images' plain predictions, unless it is there."""
    n = len(of.data.labels)
    template = replace(template, mode="information", split="train", n_sentences=n, n_sentences_in_set=n)
    if file.exists() and any(known.key() == template.key() for known in read(file)):
        return
    protocol = protocol_of(str(template.network))
    augment = protocol.augment or (lambda pixels, rng: protocol.plain(pixels))
    network.eval()
    rng = torch.Generator().manual_seed(template.updates or 0)
    draws = torch.stack([network(augment(of.data.pixels, rng)) for _ in range(N_SAMPLES + 1)], dim=1).cpu()
    difference = draws[..., of.numbers[0]] - draws[..., of.numbers[1]]
    plain = smoothed_cross_entropy(network(protocol.plain(of.data.pixels)), of.data.labels)
    bins = Bins.from_sums(bin_sums(plain.confidence.clamp(max=1.0), plain.hit).cpu())
    value = estimate(difference[:, :N_SAMPLES], difference[:, N_SAMPLES])
    found = {"nats": value, "classes": list(of.names), "samples": N_SAMPLES}
    append(
        file,
        replace(
            template,
            bins=bins,
            n_tokens=bins.n,
            nll=plain.nll.mean().item(),
            accuracy=bins.accuracy,
            mutual_information=found,
        ),
    )
