"""Tables of image classifiers: accuracy (Table 2), calibration (Table 3) and distillation (section 4)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..rows import Row, at_fitted, mean, number, select
from ..significance import Estimate

ACCURACY_HEADER = ("model", "accuracy, %", "95 % over seeds", "seeds", "NLL", "ECE", "on valid, %", "paper, %")
CALIBRATION_HEADER = (
    "network",
    "baseline ECE (T=1, alpha=0)",
    "temperature scaling ECE / T",
    "label smoothing ECE / alpha",
)
TEACHING_HEADER = (
    "network",
    "learns from",
    "beta",
    "at T",
    "gamma",
    "test error, %",
    "95 % over seeds",
    "seeds",
    "paper, %",
)
_PAPER_ACCURACY = {
    ("cifar10", "alexnet", 0.0): "86.8 ± 0.2",
    ("cifar10", "alexnet", 0.1): "86.7 ± 0.3",
    ("cifar100", "resnet_56_wide", 0.0): "72.1 ± 0.3",
    ("cifar100", "resnet_56_wide", 0.1): "72.7 ± 0.3",
    ("imagenet", "inception_v4", 0.0): "80.9",
    ("imagenet", "inception_v4", 0.1): "80.9",
    ("mnist", "mlp_1200_dropout", 0.0): "99.33",
    ("mnist", "mlp_1200", 0.1): "99.41",
}
"""MNIST's are of test, the others of images held out of train: ours "on valid"."""
_PAPER_CALIBRATION = (
    ["paper, CIFAR-100, ResNet-56", "0.150", "0.021 / 1.9", "0.024 / 0.05"],
    ["paper, ImageNet, Inception-v4", "0.071", "0.022 / 1.4", "0.035 / 0.1"],
)
_PAPER_ERRORS = {
    ("mlp_1200_dropout", "labels", np.inf): "0.67",
    ("mlp_1200", "labels, alpha 0.1", np.inf): "0.59",
    ("mlp_800", "mlp_1200_dropout, alpha 0", np.inf): "0.74",
    ("mlp_800", "mlp_1200, alpha 0.1", np.inf): "0.91",
}
"""On MNIST, by network, what it learns from and at which temperature: its teacher's logits, or labels."""


def over_seeds(values: Sequence[float]) -> tuple[str, str]:
    """The mean of percentages, and its 95 % interval by Student's t; empty for one seed."""
    n = len(values)
    if n < 2:
        return number(100 * values[0], 2), ""
    found = Estimate(float(np.mean(values)), float(np.std(values, ddof=1) / n**0.5), n - 1, n)
    low, high = found.interval()
    return number(100 * found.value, 2), f"{100 * low:.2f} to {100 * high:.2f}"


def untaught(rows: Sequence[Row], split: str = "test") -> list[Row]:
    """The rows at T = 1 of networks that had no teacher."""
    return select(rows, mode="images", split=split, temperature=1.0, teacher=None)


def accuracy(rows: Sequence[Row]) -> list[list[str]]:
    """A line for each network and alpha that learnt from labels alone."""
    ours, on_valid = untaught(rows), untaught(rows, "valid")
    lines = []
    for network, alpha in sorted({(str(row.record.network), row.record.alpha or 0.0) for row in ours}):
        found = [row.record for row in select(ours, network=network, alpha=alpha)]
        held_out = select(on_valid, network=network, alpha=alpha)
        corpus = str(found[0].corpus).split()[0]
        value, interval = over_seeds([record.accuracy or 0.0 for record in found])
        lines.append(
            [
                f"{network}, alpha {alpha:g}",
                value,
                interval,
                str(len(found)),
                number(mean(record.nll for record in found), 4),
                number(mean(record.bins.ece() for record in found), 4),
                over_seeds([row.record.accuracy or 0.0 for row in held_out])[0] if held_out else "",
                _PAPER_ACCURACY.get((corpus, network, alpha), ""),
            ]
        )
    return lines


def calibration(rows: Sequence[Row]) -> list[list[str]]:
    """The paper's lines, then one for each network that was trained with and without smoothing: on test, with the
    temperature and the alpha that valid chose."""
    lines = [list(line) for line in _PAPER_CALIBRATION]
    ours = select(rows, mode="images", teacher=None)
    for network in sorted({str(row.record.network) for row in ours}):
        on_valid, on_test = (select(ours, network=network, split=split) for split in ("valid", "test"))
        chosen_from, measured = (_ece_by_alpha(select(found, temperature=1.0)) for found in (on_valid, on_test))
        smoothed = [alpha for alpha in chosen_from if alpha and alpha in measured]
        if not (smoothed and 0.0 in measured):
            continue
        alpha = min(smoothed, key=lambda alpha: chosen_from[alpha])
        fitted = at_fitted(select(on_test, alpha=0.0))
        temperature = number(mean(row.record.temperature for row in fitted), 2)
        lines.append(
            [
                network,
                number(measured[0.0], 4),
                f"{number(_ece(fitted), 4)} / {temperature}",
                f"{number(measured[alpha], 4)} / {alpha:g}",
            ]
        )
    return lines


def _ece_by_alpha(rows: Sequence[Row]) -> dict[float, float]:
    alphas = {row.record.alpha or 0.0 for row in rows}
    return {alpha: _ece(select(rows, alpha=alpha)) or 0.0 for alpha in sorted(alphas)}


def _ece(rows: Sequence[Row]) -> float | None:
    return mean(row.record.bins.ece() for row in rows)


def teaching(rows: Sequence[Row]) -> list[list[str]]:
    """A line for each network and what it learnt from: labels first, then each teacher at each temperature. Empty where
    no network was taught."""
    groups: dict[tuple[bool, str, str, float, float], list[Row]] = {}
    for row in select(rows, mode="images", split="test", temperature=1.0):
        teacher, alpha = row.record.teacher or {}, row.record.alpha or 0.0
        labels = f"labels, alpha {alpha:g}" if alpha else "labels"
        source = f"{teacher['network']}, alpha {teacher['alpha']:g}" if teacher else labels
        at = teacher.get("temperature") or np.inf  # none: it teaches its logits
        key = bool(teacher), str(row.record.network), source, teacher.get("beta", 0.0), at
        groups.setdefault(key, []).append(row)
    lines = []
    for (taught, network, source, beta, at), found in sorted(groups.items()):
        value, interval = over_seeds([1 - (row.record.accuracy or 0.0) for row in found])
        on_mnist = str(found[0].record.corpus).startswith("mnist")
        lines.append(
            [
                network,
                source,
                f"{beta:g}" if taught else "",
                _temperature(at) if taught else "",
                number(mean((row.record.teacher or {}).get("gamma") for row in found), 3),
                value,
                interval,
                str(len(found)),
                _PAPER_ERRORS.get((network, source, at), "") if on_mnist else "",
            ]
        )
    return lines if any(taught for taught, *_ in groups) else []


def _temperature(value: float) -> str:
    return f"{value:g}" if np.isfinite(value) else "logits"
