"""A trained network held against labels: its records of mode "images", at many temperatures from one pass."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..calibration.bins import Bins
from ..calibration.geometry import geometry, on_planes
from ..calibration.tally import Tally
from ..calibration.temperature import TokenStatistics, at_temperatures, fit_temperature
from ..records.record import Measurement, append, code_hash, read, versions
from ..records.spool import spools, write
from ..weights import weights_hash
from .activations import activations, templates_of
from .images import Images
from .networks import Classifier
from .training import Settings

TEMPERATURES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)
TEACHING_TEMPERATURES = (0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 8.0, 12.0, 16.0)
"""Figure 5's and cooler ones, at each of which a network's smoothing of its training images is recorded."""


def template(network: Classifier, settings: Settings, corpus: str, run: str, updates: int) -> Measurement:
    """A record of a run's network, without what was measured."""
    return Measurement(
        run=run,
        mode="images",
        split="",
        temperature=1.0,
        bins=Bins.zeros(),
        n_tokens=0,
        n_sentences=0,
        n_sentences_in_set=0,
        corpus=corpus,
        alpha=settings.alpha,
        convention="paper",
        seed=settings.seed,
        updates=updates,
        network=settings.network,
        teacher=settings.teacher,
        unit="image",
        precision="bf16" if settings.bf16 else None,
        versions=versions("torch", "numpy"),
        sha={"data": settings.data, "checkpoint": weights_hash(network.state_dict()), "code": code_hash()},
    )


def measure(
    network: Classifier, record: Measurement, data: dict[str, Images], planes: dict[str, list[int]], records: Path
) -> None:
    """Append what `records` does not hold yet of the splits valid and test, the fitted temperature included, and of
    train how smooth the network's probabilities are there (equal to alpha for its targets; section 4's gamma). Records
    at T = 1 on train and valid also tell the geometry of the penultimate activations, and keep some of them on the
    ``planes`` through three templates, by the classes' names with a semicolon between."""
    known = read(records) if records.exists() else []
    done = {one.key() for one in known}
    record = replace(record, fitted_on="valid", device=str(data["valid"].labels.device))
    before = [one.fitted_temperature for one in known if one.sha["checkpoint"] == record.sha["checkpoint"]]
    if any(fitted and not any(_planned(record, fitted, data, done).values()) for fitted in before):
        return
    features = {split: activations(network, str(record.network), images) for split, images in data.items()}
    templates = templates_of(network)
    logits = {split: (found @ templates.t()).float() for split, found in features.items()}
    even = slice(None, None, 2)
    fitted = round(fit_temperature(lambda: [(logits["valid"][even], data["valid"].labels.cpu()[even])]), 4)
    for split, planned in _planned(record, fitted, data, done).items():
        labels = data[split].labels.cpu()
        views: dict[str, np.ndarray] = {}
        if split != "test":
            views = on_planes(features[split], labels, templates, list(planes.values()))
            found = {**geometry(features[split], labels, templates), "planes": [names.split(";") for names in planes]}
            planned = [replace(one, geometry=found) if one.temperature == 1 else one for one in planned]
        _measure_split(logits[split], labels, planned, views, records)


def _planned(
    record: Measurement, fitted: float, data: dict[str, Images], done: set[tuple[Any, ...]]
) -> dict[str, list[Measurement]]:
    """The records of each split that are not among the keys of what is ``done``, not yet measured."""
    temperatures = {"train": TEACHING_TEMPERATURES, "valid": (*TEMPERATURES, fitted), "test": (*TEMPERATURES, fitted)}
    planned = {}
    for split, wanted in temperatures.items():
        n = len(data[split].labels)
        found = [
            replace(record, split=split, temperature=t, fitted_temperature=fitted, n_sentences=n, n_sentences_in_set=n)
            for t in dict.fromkeys(wanted)
        ]
        planned[split] = [one for one in found if one.key() not in done]
    return planned


def _measure_split(
    logits: torch.Tensor, labels: torch.Tensor, planned: list[Measurement], views: dict[str, np.ndarray], records: Path
) -> None:
    start = time.perf_counter()
    n, n_classes = logits.shape
    found = at_temperatures(logits, labels, [record.temperature for record in planned])
    with spools(2 * len(planned), records.parent) as made:
        for i, record in enumerate(planned):
            # Of the many images of train the sums of each are not kept.
            sums, kept = made[2 * i], made[2 * i + (record.split == "train")]
            tally = Tally(sums, keeps_each=False)
            statistics = TokenStatistics(found.nll[i], found.confidence[i], found.brier[i], found.hit)
            tally.add(statistics, labels, torch.arange(n), 0, n)
            record = replace(record, **tally.fields(), seconds=round(time.perf_counter() - start, 2))
            if record.split == "train":
                wrong = 1 - (-found.nll[i]).double().exp().mean().item()
                record = replace(record, gamma=wrong * n_classes / (n_classes - 1))
            if record.temperature == 1:
                kept.append(**views)
            if record.split == "train" and not (views and record.temperature == 1):
                append(records, record)
            else:
                write(records, record, kept)
