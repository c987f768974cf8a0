"""Tokens a second of fairseq-train on Multi30k at the cpu recipe's settings: the plugin's criterion against stock."""

from __future__ import annotations

import json
import math
import re
import shlex
import statistics
import tempfile
from typing import Any

from harness import DEVICE_OPTIONS, ROOT, Row, alternate, module, row, run, tool

from mt_ls.smoothing.cpu import has_bfloat16

DATA = ROOT / "data-bin" / "multi30k"
RECIPE = shlex.split(
    "--arch transformer_mt_ls_tiny --share-all-embeddings --optimizer adam --adam-betas '(0.9, 0.98)' "
    "--lr-scheduler inverse_sqrt --dropout 0.3 --lr 0.005 --warmup-updates 2000 --clip-norm 25 --max-tokens 4096 "
    "--seed 1 --num-workers 0 --no-save --no-progress-bar --log-format json --log-interval 10 --label-smoothing 0.1 "
    "--user-dir mt_ls"
)
PLUGIN = shlex.split(
    "--task translation_with_calibration --criterion label_smoothed_cross_entropy_with_calibration "
    "--smoothing-convention fairseq"
)
ROUNDED = [*PLUGIN, "--projection-products", "bfloat16"]
STOCK = shlex.split("--task translation --criterion label_smoothed_cross_entropy")
CASE = "multi30k, 4 + 4 layers, d 128, V = 8000; "


def train(options: list[str], updates: int) -> str:
    """The log of a training of so many updates."""
    with tempfile.TemporaryDirectory() as folder:
        size = ["--max-update", updates, "--save-dir", folder]
        return run(tool("fairseq-train", DATA, *RECIPE, *options, *size, *DEVICE_OPTIONS))


def logged(text: str, stage: str) -> list[dict[str, Any]]:
    """The lines of a stage of the log: ``train_inner`` (every ten updates) or ``valid``."""
    return [json.loads(line) for line in re.findall(rf"\| {stage} \| (\{{.*\}})", text)]


def benchmark(rounds: int = 3, updates: int = 60) -> list[Row]:
    """Speed in turns, without the first ten updates; the greatest difference of the logged losses (base 2, printed to
    three decimals). With bfloat16 products, where the processor has them, also the NLL on valid after 1 000 updates."""
    run(module("data_prep", "multi30k", "--out", DATA))
    rows = [_speed("float32", PLUGIN, ">= 1.35", rounds, updates)]
    if has_bfloat16():
        rows.append(_speed("bfloat16 products", ROUNDED, ">= 1.70", rounds, updates))
        nll = [
            float(logged(train(options, 1000), "valid")[-1]["valid_nll_loss"]) * math.log(2)
            for options in (ROUNDED, PLUGIN)
        ]
        case, pair, unit = f"{CASE}bfloat16 products, 1 000 updates", ([v] for v in nll), "NLL on valid, nats"
        rows.append(row("training", case, "float32 products", *pair, unit, difference=nll[0] - nll[1]))
    return rows


def _speed(products: str, options: list[str], target: str, rounds: int, updates: int) -> Row:
    losses: dict[str, list[float]] = {}

    def speed(name: str, options: list[str]) -> float:
        lines = logged(train([*options, "--disable-validation"], updates), "train_inner")
        losses[name] = [float(line["loss"]) for line in lines]
        return statistics.mean(float(line["wps"]) for line in lines[1:])

    speeds = alternate(lambda: speed("plugin", options), lambda: speed("stock", STOCK), rounds, 0)
    difference = max(abs(a - b) for a, b in zip(losses["plugin"], losses["stock"], strict=True))
    print(f"training, {products}: {updates} updates; greatest difference of the logged losses {difference:g}")
    against, unit = "stock criterion and task", "target tokens a second"
    more = {"loss_difference": difference, "updates": updates}
    return row("training", CASE + products, against, *speeds, unit, target, **more)
