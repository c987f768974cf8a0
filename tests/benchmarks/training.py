"""Target tokens a second of a training on Multi30k: the plugin's criterion and task against fairseq's.

On a CPU a training is a process, because a process keeps its speed from its start to its end and the next may have
another. On a GPU the trainings take turns in this process, so that all rows take less than a minute.
"""

from __future__ import annotations

import json
import math
import re
import shlex
import statistics
import tempfile
from typing import Any

from harness import DEVICE, DEVICE_OPTIONS, ROOT, Row, alternate, module, row, run, tool

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
ON_A_GPU = shlex.split(
    "--share-all-embeddings --optimizer adam --adam-betas '(0.9, 0.98)' --lr-scheduler inverse_sqrt --dropout 0.1 "
    "--lr 0.0005 --warmup-updates 4000 --clip-norm 25 --seed 1 --num-workers 0 --log-interval 10 --label-smoothing 0.1"
)
TINY = shlex.split("--arch transformer_mt_ls_tiny --max-tokens 4096")
WMT = shlex.split("--arch transformer_wmt_en_de --max-tokens 8192")


def train(options: list[str], updates: int) -> str:
    """The log of a training of so many updates."""
    with tempfile.TemporaryDirectory() as folder:
        size = ["--max-update", updates, "--save-dir", folder]
        return run(tool("fairseq-train", DATA, *RECIPE, *options, *size, *DEVICE_OPTIONS))


def logged(text: str, stage: str) -> list[dict[str, Any]]:
    """The lines of a stage of the log: ``train_inner`` (every ten updates) or ``valid``."""
    return [json.loads(line) for line in re.findall(rf"\| {stage} \| (\{{.*\}})", text)]


def benchmark() -> list[Row]:
    """The rows of this device. The data is prepared where it is not there yet."""
    if not DATA.exists():
        run(module("data_prep", "multi30k", "--out", DATA))
    return on_a_gpu() if DEVICE == "cuda" else on_a_cpu()


def on_a_gpu(rounds: int = 5, updates: int = 20) -> list[Row]:
    """Speed of blocks of updates in turns; stock trains in float16, since its bfloat16 cannot run on a GPU.

    Ours has an epoch behind it, so that its batches are in memory as they are for most of a training.
    """
    tiny = _in_turns(TINY, {"float32": []}, [], rounds, updates)
    wmt = _in_turns(WMT, {"float16": ["--fp16"], "bfloat16": ["--bf16"]}, ["--fp16"], rounds, updates)
    unit, more = "target tokens a second", {"updates": updates}
    rows = []
    for precision, pair in tiny.items():
        case = f"{CASE}{precision}, 4 096 tokens"
        rows.append(row("training", case, "stock criterion and task", *pair, unit, ">= 2.00", **more))
    for precision, pair in wmt.items():
        case, against = f"multi30k, transformer_wmt_en_de; {precision}, 8 192 tokens", "stock in float16"
        rows.append(row("training", case, against, *pair, unit, ">= 1.50", **more))
    return rows


def _in_turns(
    size: list[str], ours: dict[str, list[str]], stock: list[str], rounds: int, updates: int
) -> dict[str, tuple[list[float], list[float]]]:
    """The speeds of ours, by name, each with those of stock."""
    from session import Session

    fixed = [str(DATA), *ON_A_GPU, *size, *DEVICE_OPTIONS]
    baseline = Session([*fixed, *STOCK, *stock])
    sessions = {name: Session([*fixed, *PLUGIN, *more]) for name, more in ours.items()}
    baseline.run(updates)
    for session in sessions.values():
        session.run(session.updates_an_epoch)
    turns = [
        (baseline.speed(updates), {name: session.speed(updates) for name, session in sessions.items()})
        for _ in range(rounds)
    ]
    return {name: ([own[name] for _, own in turns], [other for other, _ in turns]) for name in sessions}


def on_a_cpu(rounds: int = 7, updates: int = 60) -> list[Row]:
    """Speed of processes in turns, without the first ten updates; the greatest difference of the logged losses (base 2,
    printed to three decimals). With bfloat16 products, where the processor has them, also the NLL on valid after 1 000
    updates."""
    rows = [_speed("float32", PLUGIN, ">= 1.50", rounds, updates)]
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
