"""Records of mode "images": a network's calibration on valid and test, and its smoothing of the training images.

One forward pass over a split serves all temperatures.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from msgspec.structs import replace

from ..calibration.bins import Bins
from ..calibration.confidence import image_scores
from ..calibration.geometry import geometry, on_plane, triangle
from ..calibration.tally import Tally
from ..calibration.temperature import TokenStatistics, at_temperatures, fit_temperature
from ..records import Record, append, code_hash, read, versions
from ..records.items import item_writers
from ..weights import weights_hash
from .checkpoints import Settings
from .images import Classes, Images
from .networks import Classifier
from .protocols import protocol_of

TEMPERATURES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)
"""Temperatures on valid and test, beside the fitted one."""
TEACHING_TEMPERATURES = (0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 8.0, 12.0, 16.0)
"""Temperatures on train: those of Figure 5's teachers, and cooler ones."""
_EVEN = slice(None, None, 2)


def empty_record(network: Classifier, settings: Settings, corpus: str, run: str, updates: int) -> Record:
    """A record of a run's network after ``updates`` updates, with its identity and provenance and no measurements."""
    return Record(
        run=run,
        model=settings.model(corpus),
        seed=settings.seed,
        mode="images",
        split="",
        temperature=1.0,
        bins=Bins.zeros(),
        n_tokens=0,
        n_sentences=0,
        n_sentences_in_set=0,
        sha={"data": settings.data, "checkpoint": weights_hash(network.state_dict()), "code": code_hash()},
        versions=versions("torch", "numpy"),
        updates=updates,
        teacher_run=settings.teacher_run,
        unit="image",
    )


def measure(
    network: Classifier, record: Record, data: dict[str, Images], planes: Sequence[Classes], records: Path
) -> None:
    """Append the records that the file ``records`` lacks, each a copy of the empty ``record`` with measurements.

    ``data`` has the splits train, valid and test. Valid and test get `TEMPERATURES` and the temperature fitted on the
    even-numbered images of valid, with the sums of each image. Train gets `TEACHING_TEMPERATURES` with gamma: the mean
    probability on wrong classes times K / (K - 1), which is alpha for smoothed targets (section 4). At temperature 1
    the records of train and valid have the geometry of the penultimate activations, with points on ``planes``.
    """
    known = read(records) if records.exists() else []
    record = replace(record, fitted_on="valid", device=str(data["valid"].labels.device))
    labels = {split: images.labels.cpu() for split, images in data.items()}
    sizes = {split: len(labels[split]) for split in data}
    if any(not any(_missing(record, fitted, sizes, known).values()) for fitted in _fitted(record, known)):
        return
    architecture = str(record.model.architecture)
    points = {split: activations_of(network, architecture, images) for split, images in data.items()}
    templates = templates_of(network)
    logits = {split: (points[split] @ templates.t()).float() for split in data}
    fitted = round(fit_temperature(lambda: [(logits["valid"][_EVEN], labels["valid"][_EVEN])]), 4)
    for split, planned in _missing(record, fitted, sizes, known).items():
        if split != "test" and any(one.temperature == 1 for one in planned):
            fields = _geometry(points[split], labels[split], templates, planes)
            planned = [replace(one, geometry=fields) if one.temperature == 1 else one for one in planned]
        if planned:
            _measure_split(logits[split], labels[split], planned, records)


def _fitted(record: Record, known: Sequence[Record]) -> set[float]:
    """The temperatures that were fitted to the weights of ``record``."""
    checkpoint = record.sha["checkpoint"]
    return {one.fitted_temperature for one in known if one.fitted_temperature and one.sha["checkpoint"] == checkpoint}


def _missing(record: Record, fitted: float, sizes: dict[str, int], known: Sequence[Record]) -> dict[str, list[Record]]:
    """The empty records of each split, for ``sizes`` images, that are not among the ``known``."""
    grid = (*TEMPERATURES, fitted)
    temperatures = {"train": TEACHING_TEMPERATURES, "valid": grid, "test": grid}
    done = {one.key for one in known}
    missing = {}
    for split, n in sizes.items():
        of_split = replace(record, split=split, fitted_temperature=fitted, n_sentences=n, n_sentences_in_set=n)
        planned = [replace(of_split, temperature=t) for t in dict.fromkeys(temperatures[split])]
        missing[split] = [one for one in planned if one.key not in done]
    return missing


def _geometry(
    points: torch.Tensor, labels: torch.Tensor, templates: torch.Tensor, planes: Sequence[Classes]
) -> dict[str, Any]:
    """The geometry of activations ``points`` (N, D + 1), which have 1 appended, and some of them on the ``planes``
    through three templates each. The planes whose classes all have a label have triangles."""
    known = set(labels.tolist())
    on_planes = [
        {"classes": list(plane.names), **on_plane(points, labels, templates, plane.numbers)} for plane in planes
    ]
    drawn = [
        {"classes": list(plane.names), **triangle(points, labels, templates, plane.numbers)}
        for plane in planes
        if known.issuperset(plane.numbers)
    ]
    return {**geometry(points[:, :-1], labels, templates), "planes": on_planes, "triangles": drawn}


def _measure_split(logits: torch.Tensor, labels: torch.Tensor, planned: list[Record], records: Path) -> None:
    """Append the ``planned`` records of one split. Those of train have gamma, and no items."""
    start = time.perf_counter()
    n, n_classes = logits.shape
    on_train = planned[0].split == "train"
    columns = at_temperatures(logits, labels, [record.temperature for record in planned])
    measured = []
    with item_writers(records, [] if on_train else planned) as writers:
        for i, record in enumerate(planned):
            tally = Tally()
            statistics = TokenStatistics(columns.nll[i], columns.confidence[i], columns.brier[i], columns.hit)
            bins, _ = tally.add(statistics, torch.arange(n), n)
            if on_train:
                wrong = 1 - (-columns.nll[i]).double().exp().mean().item()
                record = replace(record, gamma=wrong * n_classes / (n_classes - 1))
            else:
                chosen = record.temperature in (1.0, record.fitted_temperature)
                writers[i].append(bins, scores=image_scores(logits, record.temperature).numpy() if chosen else None)
                record = replace(record, items=f"{record.name}.parquet")
            measured.append(replace(record, **tally.fields(), seconds=round(time.perf_counter() - start, 2)))
    for record in measured:
        append(records, record)


@torch.no_grad()
def activations_of(network: Classifier, architecture: str, data: Images) -> torch.Tensor:
    """Penultimate activations (N, D + 1) with 1 appended, float64 on the CPU, of images as prepared for evaluation."""
    prepare = protocol_of(architecture).prepare
    network.eval()
    points = torch.cat([network.body(prepare(pixels)) for pixels in data.pixels.split(500)]).cpu().double()
    return torch.cat([points, torch.ones(len(points), 1, dtype=torch.float64)], dim=1)


def templates_of(network: Classifier) -> torch.Tensor:
    """Templates (K, D + 1), float64 on the CPU: the rows of the last layer with their biases appended."""
    head = network.head
    return torch.cat([head.weight, head.bias.unsqueeze(1)], dim=1).detach().double().cpu()
