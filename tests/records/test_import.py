"""Reading records is cheap: numpy and msgspec, no more."""

import sys

import pytest
from commands import run

CODE = """
import sys, time
import mt_ls.records
heavy = {"torch", "pyarrow", "scipy", "pandas", "fairseq", "sacrebleu"} & set(sys.modules)
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(int(peak) // 1024, time.process_time(), *sorted(heavy))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of its memory from /proc")
def test_importing_records_takes_60_mb_and_half_a_second_at_most():
    """A new interpreter with its import: the peak of resident memory, and seconds of the processor."""
    process = run([sys.executable, "-c", CODE])
    assert process.returncode == 0, process.stderr
    megabytes, seconds, *heavy = process.stdout.split()
    assert heavy == [] and int(megabytes) < 60 and float(seconds) < 0.5


def test_the_pure_packages_need_no_fairseq():
    modules = "mt_ls.smoothing, mt_ls.calibration, mt_ls.records.items, mt_ls.measure.plan, mt_ls.measure.text"
    process = run([sys.executable, "-c", f"import sys, {modules}\nassert 'fairseq' not in sys.modules"])
    assert process.returncode == 0, process.stderr
