"""The wheel in an empty environment: the library works without fairseq, and says what an extra lacks."""

import os
import re
import shutil
import subprocess
import sys

import pytest
import torch
from commands import ROOT

IMPORTS = "import mt_ls, mt_ls.calibration.bins, mt_ls.records"
LIBRARY = (
    f"import time, sys\n{IMPORTS}\nprint(time.process_time())"
    + """
import torch
from mt_ls.calibration.alignment import align_ids
from mt_ls.calibration.bins import Bins
from mt_ls.calibration.sums import bin_sums
from mt_ls.calibration.temperature import fit_temperature
from mt_ls.smoothing import conformance
from mt_ls.smoothing.hidden import linear_smoothed_cross_entropy
from mt_ls.smoothing.kinds import Smoothing
hidden, weight = torch.randn(8, 4, requires_grad=True), torch.randn(5, 4)
total, rows = linear_smoothed_cross_entropy(hidden, weight, torch.arange(8) % 5, Smoothing(amount=0.1))
total.backward()
assert 0 <= Bins.from_sums(bin_sums(rows.confidence, rows.hit)).ece() <= 1 and hidden.grad.abs().sum() > 0
assert conformance.main(["torch.nn.functional:cross_entropy"]) == 0
absent = [name for name in ("fairseq", "matplotlib", "datasets", "pandas", "ctranslate2") if name in sys.modules]
assert not absent, absent
"""
)


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """The Python of a new environment in which only the wheel and its requirements are installed."""
    folder = tmp_path_factory.mktemp("packaging")
    source = folder / "source"  # a build writes beside the code
    for name in ("mt_ls", "data_prep", "analysis"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", folder, source], check=True, cwd=folder)
    (wheel,) = folder.glob("mt_ls-*.whl")
    subprocess.run([sys.executable, "-m", "venv", folder / "environment"], check=True)
    python = folder / "environment" / "bin" / "python"
    # The same build of torch as here: another one may be gigabytes.
    of_torch = os.environ.get("TORCH", f"torch=={torch.__version__.split('+')[0]}")
    install = [python, "-m", "pip", "--disable-pip-version-check", "-q", "install", "--no-compile"]
    subprocess.run([*install, of_torch, wheel], check=True, cwd=folder)
    keeping = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([python, "-c", IMPORTS], check=True, cwd=folder, env=keeping)  # the first import compiles
    return python


@pytest.mark.slow
def test_the_library_needs_no_extra_and_is_imported_in_less_than_half_a_second(empty, tmp_path):
    process = subprocess.run([empty, "-c", LIBRARY], capture_output=True, text=True, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert float(process.stdout.splitlines()[0]) < 0.5
    installed = subprocess.run([empty, "-m", "pip", "list"], capture_output=True, text=True).stdout
    assert "sacrebleu" in installed and "fairseq" not in installed and "datasets" not in installed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "arguments", "extra"),
    [
        ("mt_ls.train", "x", "fairseq"),
        ("mt_ls.measure", "x --path y --records z", "fairseq"),
        ("data_prep", "x", "data"),
    ],
)
def test_a_command_without_its_extra_says_which_one_to_install(empty, tmp_path, module, arguments, extra):
    process = subprocess.run([empty, "-m", module, *arguments.split()], capture_output=True, text=True, cwd=tmp_path)
    assert process.returncode in (1, 2) and not process.stdout
    line = rf"{module}: error: needs \w+, which is not installed: pip install 'mt_ls\[{extra}\]'\n"
    assert re.fullmatch(line, process.stderr), process.stderr


@pytest.mark.slow
def test_the_wheel_has_its_data_files(empty):
    code = """
import importlib.util, pathlib
import mt_ls.smoothing.conformance as conformance
folder = pathlib.Path(importlib.util.find_spec("data_prep").origin).parent
print(len(conformance.cases()), len((folder / "debian" / "packages.tsv").read_text().splitlines()))
"""
    process = subprocess.run([empty, "-c", code], capture_output=True, text=True, cwd="/")
    assert process.stdout == "4 94\n", process.stderr
