"""Calibration at sixteen temperatures with mt_ls.measure, against one fairseq-validate with the stock criterion."""

from __future__ import annotations

import tempfile
from pathlib import Path

from decoding import CHECKPOINT, DATA, stock_twin
from harness import DEVICE_OPTIONS, Row, alternate, module, row, run, seconds, tool

TEMPERATURES = [f"{0.5 + 0.1 * i:.1f}" for i in range(16)]


def measure(folder: str) -> None:
    """Measure all temperatures with mt_ls into an empty folder."""
    records = Path(tempfile.mkdtemp(dir=folder)) / "records.jsonl"
    options = ["--gen-subset", "valid", "--modes", "forced", "--temperatures", *TEMPERATURES, *DEVICE_OPTIONS]
    run(module("mt_ls.measure", DATA, "--path", CHECKPOINT, *options, "--records", records))


def benchmark(rounds: int = 5) -> list[Row]:
    """Whole commands, start-up and the fit of the temperature included."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["--task", "translation", "--user-dir", "mt_ls", "--valid-subset", "valid", "--max-tokens", "4000"]
        validate = tool("fairseq-validate", DATA, "--path", stock_twin(folder), *options, *DEVICE_OPTIONS)
        times = alternate(lambda: seconds(lambda: measure(folder)), lambda: seconds(lambda: run(validate)), rounds)
    case = f"{DATA.name} valid, 16 temperatures and a fitted one"
    return [row("temperatures", case, "fairseq-validate, 1 temperature", *times, "s", target="<= 1.30")]
