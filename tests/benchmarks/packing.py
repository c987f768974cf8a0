"""Updates a second of several runs side by side on one device (JOBS), against one after the other."""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import torch
from harness import DEVICE, DEVICE_OPTIONS, ROOT, Row, alternate, module, row, run

from mt_ls.vision.checkpoints import FILE, Settings
from mt_ls.vision.images import Images
from mt_ls.vision.training import Training

CORES = len(os.sched_getaffinity(0))
N_IMAGES = 10_240
OPTIONS = shlex.split(
    "--user-dir mt_ls --task translation_with_calibration --criterion label_smoothed_cross_entropy_with_calibration "
    "--label-smoothing 0.1 --share-all-embeddings --optimizer adam --adam-betas '(0.9, 0.98)' --seed 1 --num-workers 0 "
    "--lr-scheduler inverse_sqrt --no-save --disable-validation --no-progress-bar --log-format json --log-interval 10"
)


class Packing(NamedTuple):
    """How many runs are packed, and the translation model whose updates are counted: its corpus and its options."""

    jobs: int
    corpus: str
    model: list[str]


ON = {
    "cpu": Packing(
        2,
        "home_assistant",
        shlex.split("--arch transformer_mt_ls_small --dropout 0.2 --lr 0.004 --warmup-updates 400 --max-tokens 2048"),
    ),
    "cuda": Packing(
        6,
        "multi30k",
        shlex.split(
            "--arch transformer_mt_ls_tiny --dropout 0.3 --lr 0.005 --warmup-updates 2000 --clip-norm 25 "
            "--max-tokens 4096"
        ),
    ),
}
"""The recipes' models at ``SCALE=cpu``."""


def benchmark(updates: int = 100) -> list[Row]:
    """A translation model in float32, and on a GPU an image network, too."""
    jobs, corpus, _ = ON[DEVICE]
    run(module("data_prep", corpus, "--out", ROOT / "data-bin" / corpus))
    rows = [_row(f"{corpus}, float32", jobs, lambda threads: _translation(threads, updates))]
    if DEVICE == "cuda":
        rows.append(_row("ResNet-20, float32, 128 images", jobs, _images))
    return rows


def _row(case: str, jobs: int, rate: Callable[[int], float]) -> Row:
    """``rate(threads)``: updates a second of one run with so many threads. One pair on a GPU, whose runs it keeps
    short; three on a CPU."""

    def at_once(n: int) -> float:
        with ThreadPoolExecutor(n) as pool:
            return sum(pool.map(rate, [max(1, CORES // n)] * n))

    rates = alternate(lambda: at_once(jobs), lambda: at_once(1), 1 if DEVICE == "cuda" else 3, 0)
    return row(
        "packing", f"{case}; JOBS={jobs}", "one after the other", *rates, "updates a second, all runs", jobs=jobs
    )


def _translation(threads: int, updates: int) -> float:
    """Updates a second of one training, by the log of its intervals. Their median leaves out the start and the end,
    where the runs do not overlap."""
    _, corpus, model = ON[DEVICE]
    with tempfile.TemporaryDirectory() as folder:
        size = ["--max-update", updates, "--save-dir", folder]
        command = module("mt_ls.train", ROOT / "data-bin" / corpus, *OPTIONS, *model, *size, *DEVICE_OPTIONS)
        log = run(command, env=_environment(threads))
    intervals = [json.loads(line) for line in re.findall(r"\| train_inner \| (\{.*\})", log)]
    return statistics.median(float(interval["ups"]) for interval in intervals)


def _images(threads: int) -> float:
    """Updates a second of one network, by the time of its epochs; the first one, which warms up, does not count."""
    command = [sys.executable, "-c", "import packing; packing.train_images()"]
    return statistics.median(map(float, run(command, env=_environment(threads)).split("\n")[0].split()))


def train_images(epochs: int = 5) -> None:
    """Train a ResNet-20 on random images and print the updates a second of each epoch after the first."""
    rng = torch.Generator().manual_seed(1)
    pixels = torch.randint(256, (N_IMAGES, 3, 32, 32), dtype=torch.uint8, generator=rng)
    labels = torch.randint(10, (N_IMAGES,), generator=rng)
    settings = Settings(
        network="resnet_20",
        alpha=0.1,
        seed=1,
        updates=epochs * N_IMAGES // 128,
        shape=(3, 32, 32),
        n_classes=10,
        data="benchmark",
    )
    with tempfile.TemporaryDirectory() as folder:
        training = Training(settings, Images(pixels.to(DEVICE), labels.to(DEVICE)), Path(folder, FILE))
        ends = [(time.perf_counter(), updates) for updates in training.epochs()][1:]
    print(*((n - m) / (end - start) for (start, m), (end, n) in itertools.pairwise(ends)))


def _environment(threads: int) -> dict[str, str]:
    """As recipes/jobs.sh sets it, with the modules of the benchmarks."""
    path = os.pathsep.join(map(str, (ROOT, ROOT / "tests" / "benchmarks")))
    return {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": path}
