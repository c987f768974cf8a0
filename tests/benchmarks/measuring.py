"""Forced and beam records at nine temperatures with mt_ls.measure, against one run of stock fairseq-generate."""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path

from decoding import CHECKPOINT, DATA, TEMPERATURES, generate, stock_twin
from harness import DEVICE, DEVICE_OPTIONS, Row, alternate, module, row, run, seconds

from mt_ls.measure.__main__ import main

TARGET_S = 15.0
"""Seconds of the whole command on a GPU."""


def arguments(folder: str, *options: str) -> list[str]:
    """The arguments of mt_ls.measure for the grid, with records in a new folder."""
    records = Path(tempfile.mkdtemp(dir=folder)) / "records.jsonl"
    fixed = [str(DATA), "--path", str(CHECKPOINT), "--gen-subset", "test", "--temperatures", *TEMPERATURES]
    return [*fixed, "--beam", "5", "--records", str(records), *DEVICE_OPTIONS, *options]


def benchmark() -> list[Row]:
    """The whole command; on a GPU also what it takes without start-up."""
    case = f"{DATA.name} test, forced and beam 5 at 9 temperatures and the fitted one"
    with tempfile.TemporaryDirectory() as folder:
        stock = stock_twin(folder)
        whole, once = alternate(
            lambda: seconds(lambda: run(module("mt_ls.measure", *arguments(folder)))),
            lambda: seconds(lambda: generate(stock, "1.0")),
            rounds=1,
            warm_up=0,
        )
        rows = [row("measuring", case, "fairseq-generate, 1 temperature", whole, once, "s")]
        if DEVICE == "cuda":
            rows.append(row("measuring", case, "the target in seconds", whole, [TARGET_S], "s", target="<= 1.00"))
            warm = [seconds(lambda: in_this_process(arguments(folder)))]
            rows.append(row("measuring", f"{case}, without start-up", "the whole command", warm, whole, "s"))
    return rows


def in_this_process(options: list[str]) -> None:
    """Run the command's function, whose imports and device are ready. Ends the benchmark if it fails."""
    with contextlib.redirect_stdout(io.StringIO()):
        status = main(options)
    if status:
        raise SystemExit("benchmark: mt_ls.measure failed")
