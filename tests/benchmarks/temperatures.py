"""Calibration at sixteen temperatures with mt_ls.measure, against one fairseq-validate with the stock criterion."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from checkpoints import CHECKPOINT, DATA, stock_twin
from harness import DEVICE, Row, alternate, row, run, seconds, tool

TEMPERATURES = [f"{0.5 + 0.1 * i:.1f}" for i in range(16)]


def measure(folder: str, *options: str) -> None:
    """One run of mt_ls.measure into an empty folder."""
    records = Path(tempfile.mkdtemp(dir=folder)) / "records.jsonl"
    run(
        [
            sys.executable,
            "-m",
            "mt_ls.measure",
            str(DATA),
            "--path",
            str(CHECKPOINT),
            *options,
            "--records",
            str(records),
            *(["--cpu"] if DEVICE == "cpu" else []),
        ]
    )


def benchmark(rounds: int = 5) -> list[Row]:
    """Whole commands, start-up and the fit of the temperature included."""
    with tempfile.TemporaryDirectory() as folder:
        stock = stock_twin(folder)
        validate = [
            tool("fairseq-validate"),
            str(DATA),
            "--task",
            "translation",
            "--user-dir",
            "mt_ls",
            "--path",
            str(stock),
            "--valid-subset",
            "valid",
            "--max-tokens",
            "4000",
            *(["--cpu"] if DEVICE == "cpu" else []),
        ]
        ours = ["--gen-subset", "valid", "--modes", "forced", "--temperatures", *TEMPERATURES]
        times = alternate(
            lambda: seconds(lambda: measure(folder, *ours)), lambda: seconds(lambda: run(validate)), rounds
        )
    case = f"{DATA.name} valid, 16 temperatures and a fitted one"
    return [row("temperatures", case, "fairseq-validate, 1 temperature", *times, "s", target="<= 1.30")]
