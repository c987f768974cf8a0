"""Tokens a second of fairseq-train on Multi30k at the cpu recipe's settings: our criterion against the stock one."""

from __future__ import annotations

import json
import re
import shlex
import statistics
import sys
import tempfile

from harness import DEVICE, ROOT, Row, alternate, row, run, tool

DATA = ROOT / "data-bin" / "multi30k"
RECIPE = shlex.split(
    "--arch transformer_mt_ls_tiny --share-all-embeddings --optimizer adam --lr-scheduler inverse_sqrt --dropout 0.3 "
    "--lr 0.005 --warmup-updates 2000 --clip-norm 25 --max-tokens 4096 --seed 1 --num-workers 0 --no-save "
    "--disable-validation --no-progress-bar --log-format json --log-interval 10 --label-smoothing 0.1 --user-dir mt_ls"
)
OURS = shlex.split(
    "--task translation_with_calibration --criterion label_smoothed_cross_entropy_with_calibration "
    "--smoothing-convention fairseq"
)
STOCK = shlex.split("--task translation --criterion label_smoothed_cross_entropy")


def train(options: list[str], updates: int) -> tuple[float, list[float]]:
    """(target tokens a second, loss of each ten updates) without the first ten updates."""
    command = [tool("fairseq-train"), str(DATA), *RECIPE, "--adam-betas", "(0.9, 0.98)", *options,
               "--max-update", str(updates), *(["--cpu"] if DEVICE == "cpu" else [])]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        text = run([*command, "--save-dir", folder])
    lines = [json.loads(found) for found in re.findall(r"train_inner \| (\{.*\})", text)]
    return statistics.mean(float(line["wps"]) for line in lines[1:]), [float(line["loss"]) for line in lines]


def benchmark(rounds: int = 3, updates: int = 60) -> list[Row]:
    """Speed in turns; the greatest difference of the two loss curves (base 2, printed to three decimals)."""
    run([sys.executable, "-m", "data_prep", "multi30k", "--out", str(DATA)])
    curves: dict[str, list[float]] = {}

    def speed(name: str, options: list[str]) -> float:
        found, curves[name] = train(options, updates)
        return found

    speeds = alternate(lambda: speed("ours", OURS), lambda: speed("stock", STOCK), rounds, 0)
    difference = max(abs(a - b) for a, b in zip(curves["ours"], curves["stock"], strict=True))
    print(f"training: {updates} updates; greatest difference of the logged losses {difference:g}")
    case = "multi30k, 4 + 4 layers, d 128, V = 8000; float32"
    return [row("training", case, "stock criterion and task", *speeds, "target tokens a second",
                loss_difference=difference, updates=updates)]  # fmt: skip
