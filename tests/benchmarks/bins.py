"""Calibration bins of a stream of logits, against torchmetrics, which keeps every confidence."""

from __future__ import annotations

import multiprocessing
import os

import torch
from harness import DEVICE, Row, alternate, peak_memory, row, seconds
from torchmetrics.classification import MulticlassCalibrationError

from mt_ls.calibration.bins import Bins
from mt_ls.calibration.sums import bin_sums
from mt_ls.calibration.temperature import at_temperatures

N_CLASSES = 8000
BATCH = 2000
Batch = tuple[torch.Tensor, torch.Tensor]


def batch() -> Batch:
    """(Logits (2 000, 8 000), targets): one batch; the stream repeats it."""
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(BATCH, N_CLASSES, generator=generator)
    return logits.to(DEVICE), torch.randint(N_CLASSES, (BATCH,), generator=generator).to(DEVICE)


def mt_ls_ece(data: Batch, n: int) -> float:
    """ECE of ``n`` batches from sums a bin."""
    total = torch.zeros(3, 15, dtype=torch.float64, device=DEVICE)
    for _ in range(n):
        statistics = at_temperatures(*data, [1.0])
        total += bin_sums(statistics.confidence[0].clamp(max=1.0), statistics.hit)
    return Bins.from_sums(total.cpu().numpy()).ece()


def torchmetrics_ece(data: Batch, n: int) -> float:
    """ECE of ``n`` batches by torchmetrics."""
    metric = MulticlassCalibrationError(N_CLASSES, n_bins=15).to(DEVICE)
    for _ in range(n):
        metric.update(*data)
    return metric.compute().item()


SIDES = {"mt_ls": mt_ls_ece, "baseline": torchmetrics_ece}


def benchmark(rounds: int = 3, tokens: int = 1_000_000) -> list[Row]:
    """Time of a million tokens in turns, and the peak memory of a tenth and of all of them."""
    data = batch()
    n = tokens // BATCH
    difference = abs(mt_ls_ece(data, 2) - torchmetrics_ece(data, 2))
    if difference > 1e-5:
        raise SystemExit(f"benchmark: the two ECEs differ by {difference:g}")
    times = alternate(*(lambda ece=ece: seconds(lambda: ece(data, n)) for ece in SIDES.values()), rounds, 0)
    case = f"{tokens:,} tokens, V = {N_CLASSES}"
    rows = [row("bins", case, "torchmetrics", *times, "s", target="<= 0.20")]
    memory = {name: [_peak(name, n // 10), _peak(name, n)] for name in SIDES}
    for name, (tenth, whole) in memory.items():
        print(f"bins: {name}: {tenth:.1f} MB for a tenth of the tokens, {whole:.1f} MB for all")
    rows.append(
        row(
            "bins",
            case,
            "torchmetrics",
            *([whole] for _, whole in memory.values()),
            "MB, peak memory",
            tenth_of_tokens={name: tenth for name, (tenth, _) in memory.items()},
        )
    )
    return rows


def _peak(name: str, n: int) -> float:
    """Peak memory (MB) of ``n`` batches in a fresh process. Its large tensors are mapped on their own, and freed whole:
    otherwise a small tensor between them can pin gigabytes that the metric does not hold."""
    os.environ["MALLOC_MMAP_THRESHOLD_"] = str(2**16)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_here, (name, n))


def _peak_here(name: str, n: int) -> float:
    data = batch()
    return peak_memory(lambda: SIDES[name](data, n))
