"""Mutual information of inputs and logits during training, from records."""

from __future__ import annotations

from .study import Entry


def by_update(entry: Entry) -> dict[int, list[tuple[int, float]]]:
    """(update, nats) after each epoch, in order, by training seed."""
    points: dict[int, list[tuple[int, float]]] = {}
    for row in entry.select(mode="information"):
        nats = (row.record.mutual_information or {})["nats"]
        points.setdefault(row.record.seed or 0, []).append((row.record.updates or 0, nats))
    return {seed: sorted(points[seed]) for seed in sorted(points)}
