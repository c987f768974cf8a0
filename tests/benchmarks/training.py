"""Tokens a second of fairseq-train on Multi30k at the cpu recipe's settings: our criterion against the stock one."""

from __future__ import annotations

import json
import math
import re
import shlex
import statistics
import sys
import tempfile
from typing import Any

import torch
from harness import DEVICE, ROOT, Row, alternate, row, run, tool

DATA = ROOT / "data-bin" / "multi30k"
RECIPE = shlex.split(
    "--arch transformer_mt_ls_tiny --share-all-embeddings --optimizer adam --adam-betas '(0.9, 0.98)' "
    "--lr-scheduler inverse_sqrt --dropout 0.3 --lr 0.005 --warmup-updates 2000 --clip-norm 25 --max-tokens 4096 "
    "--seed 1 --num-workers 0 --no-save --no-progress-bar --log-format json --log-interval 10 --label-smoothing 0.1 "
    "--user-dir mt_ls"
)
OURS = shlex.split(
    "--task translation_with_calibration --criterion label_smoothed_cross_entropy_with_calibration "
    "--smoothing-convention fairseq"
)
ROUGH = [*OURS, "--projection-products", "bfloat16"]
STOCK = shlex.split("--task translation --criterion label_smoothed_cross_entropy")
CASE = "multi30k, 4 + 4 layers, d 128, V = 8000; "


def train(options: list[str], updates: int) -> str:
    """The log of so many updates."""
    command = [tool("fairseq-train"), str(DATA), *RECIPE, *options, "--max-update", str(updates)]
    with tempfile.TemporaryDirectory() as folder:
        return run([*command, "--save-dir", folder, *(["--cpu"] if DEVICE == "cpu" else [])])


def logged(text: str, what: str) -> list[dict[str, Any]]:
    """The lines of ``train_inner`` (every ten updates) or ``valid``."""
    return [json.loads(found) for found in re.findall(rf"\| {what} \| (\{{.*\}})", text)]


def benchmark(rounds: int = 3, updates: int = 60) -> list[Row]:
    """Speed in turns, without the first ten updates; the greatest difference of the logged losses (base 2, printed to
    three decimals). With bfloat16 products, where the processor has them, also the NLL on valid after 1 000 updates."""
    run([sys.executable, "-m", "data_prep", "multi30k", "--out", str(DATA)])
    found = [_speed("float32", OURS, ">= 1.35", rounds, updates)]
    if torch.ops.mkldnn._is_mkldnn_bf16_supported():
        found.append(_speed("bfloat16 products", ROUGH, ">= 1.70", rounds, updates))
        nll = [
            float(logged(train(options, 1000), "valid")[-1]["valid_nll_loss"]) * math.log(2)
            for options in (ROUGH, OURS)
        ]
        found.append(
            row(
                "training",
                f"{CASE}bfloat16 products, 1 000 updates",
                "float32 products",
                *([value] for value in nll),
                "NLL on valid, nats",
                difference=nll[0] - nll[1],
            )
        )
    return found


def _speed(products: str, options: list[str], target: str, rounds: int, updates: int) -> Row:
    curves: dict[str, list[float]] = {}

    def speed(name: str, options: list[str]) -> float:
        lines = logged(train([*options, "--disable-validation"], updates), "train_inner")
        curves[name] = [float(line["loss"]) for line in lines]
        return statistics.mean(float(line["wps"]) for line in lines[1:])

    speeds = alternate(lambda: speed("ours", options), lambda: speed("stock", STOCK), rounds, 0)
    difference = max(abs(a - b) for a, b in zip(curves["ours"], curves["stock"], strict=True))
    print(f"training, {products}: {updates} updates; greatest difference of the logged losses {difference:g}")
    return row(
        "training",
        CASE + products,
        "stock criterion and task",
        *speeds,
        "target tokens a second",
        target,
        loss_difference=difference,
        updates=updates,
    )
