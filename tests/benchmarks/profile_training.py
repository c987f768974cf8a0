"""python tests/benchmarks/profile_training.py [--updates N]: where an update of fairseq's training and of ours goes.

For each it prints the greatest operations by time on the device and on the host, and how many operations, launches and
waits an update has. The tiny Transformer in float32 shows the host's work, transformer_wmt_en_de in half precision the
device's.
"""

from __future__ import annotations

import argparse
import logging
import re
import sys
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parents[2]))
logging.disable(logging.INFO)

import torch  # noqa: E402
from harness import DEVICE, DEVICE_OPTIONS, seconds  # noqa: E402
from session import Session  # noqa: E402
from torch.autograd import DeviceType  # noqa: E402
from torch.profiler import ProfilerActivity, profile  # noqa: E402
from training import DATA, ON_A_GPU, PLUGIN, STOCK, TINY, WMT  # noqa: E402

_LAUNCHES = re.compile("cu(da)?LaunchKernel.*|cudaMemcpyAsync|cudaMemsetAsync")
_WAITS = re.compile("cuda(Stream|Device|Event)Synchronize|cudaMemcpy")
_OPERATIONS = re.compile("aten::.*")
_CASES = {
    "tiny, float32": (TINY, [], []),
    "transformer_wmt_en_de, half precision": (WMT, ["--fp16"], ["--bf16"]),
}


def main() -> None:
    """Profile both trainings of each case; on a CPU only the tiny one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=10, help="updates that are profiled (one line of the log)")
    parser.add_argument("--rows", type=int, default=12, help="operations of each table")
    arguments = parser.parse_args()
    for name, (size, stock, ours) in _CASES.items():
        if DEVICE == "cpu" and ours:
            continue
        fixed = [str(DATA), *ON_A_GPU, *size, *DEVICE_OPTIONS, "--log-interval", arguments.updates]
        for which, options in (("stock", [*STOCK, *stock]), ("mt_ls", [*PLUGIN, *ours])):
            _show(f"{name}, {which}", Session([*fixed, *options]), arguments.updates, arguments.rows)


def _show(title: str, session: Session, updates: int, rows: int) -> None:
    """Print the tables and counts of a training."""
    session.run(2 * updates)
    alone = seconds(lambda: session.run(updates)) / updates
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if DEVICE == "cuda" else [])
    with profile(activities=activities) as profiled:
        session.run(updates)
        if DEVICE == "cuda":
            torch.cuda.synchronize()
    averages = profiled.key_averages()

    def count(names: re.Pattern[str]) -> float:
        return sum(event.count for event in averages if names.fullmatch(event.key)) / updates

    on_the_device = sum(e.self_device_time_total for e in averages if e.device_type != DeviceType.CPU) / updates / 1000
    print(f"\n== {title}: {1000 * alone:.1f} ms an update without the profiler, {on_the_device:.1f} ms on a GPU")
    print(f"an update: {count(_OPERATIONS):.0f} operations, {count(_LAUNCHES):.0f} launches, {count(_WAITS):.1f} waits")
    for order in ["self_cpu_time_total"] + (["self_cuda_time_total"] if DEVICE == "cuda" else []):
        print(averages.table(sort_by=order, row_limit=rows, max_name_column_width=60))


if __name__ == "__main__":
    main()
