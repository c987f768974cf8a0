"""The package in site-packages and a training in another folder, with curves for TensorBoard and Weights & Biases."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from commands import MODEL, ROOT, command, run
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import mt_ls.__main__ as printing

QUANTITIES = {"ece", "confidence", "token_accuracy"}

WANDB = """
import json, types
file = open("given-to-wandb.jsonl", "a", buffering=1)
config = types.SimpleNamespace(update=lambda values: None)
def init(**options): print(json.dumps({"init": options}), file=file)
def log(values, step): print(json.dumps({"step": step, **values}), file=file)
"""


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """(A folder without the package, the variables with which Python finds the package in another one.)"""
    folder = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(ROOT / "mt_ls", folder / "site" / "mt_ls", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "site" / "wandb.py").write_text(WANDB)
    (folder / "work").mkdir()
    return folder / "work", {**os.environ, "PYTHONPATH": str(folder / "site")}


def _user_dir(elsewhere, *options):
    folder, environment = elsewhere
    arguments = [sys.executable, "-m", "mt_ls", *options]
    return subprocess.check_output(arguments, cwd=folder, env=environment, text=True)


def test_the_folder_of_the_package_is_printed(elsewhere):
    folder, _ = elsewhere
    assert _user_dir(elsewhere) == f"{folder.parent}/site/mt_ls\n"


def test_help_says_what_for(capsys):
    with pytest.raises(SystemExit, match="0"):
        printing.main(["--help"])
    text = capsys.readouterr().out
    assert '--user-dir "$(python -m mt_ls)"' in text and "python -m mt_ls.measure" in text


@pytest.fixture(scope="module")
def training(data, elsewhere):
    """The folder in which fairseq-train has run with the package's printed folder, and its log."""
    folder, environment = elsewhere
    options = ["--user-dir", _user_dir(elsewhere).strip(), *MODEL[MODEL.index("--task") :]]
    options += ["--max-tokens", "600", "--max-update", "6", "--log-interval", "2", "--save-dir", "run"]
    options += ["--tensorboard-logdir", "curves", "--wandb-project", "smoothing"]
    finished = run(command("fairseq-train", data, *options), cwd=folder, env=environment)
    assert finished.returncode == 0, finished.stderr[-2000:]
    return folder, finished.stdout


def test_the_installed_package_trains_from_another_folder(training):
    folder, log = training
    assert (folder / "run" / "checkpoint_last.pt").exists()
    assert any("| valid |" in line and " ece 0." in line for line in log.splitlines())


def test_tensorboard_has_curves_of_calibration(training):
    folder, log = training
    for stage, steps in (("train_inner", [2, 4, 6]), ("train", [6]), ("valid", [6])):
        events = EventAccumulator(str(folder / "curves" / stage)).Reload()
        assert set(events.Tags()["scalars"]) >= QUANTITIES
        for name in QUANTITIES:
            curve = events.Scalars(name)
            assert [event.step for event in curve] == steps
            assert all(0 <= event.value <= 1 for event in curve)
    (ece,) = events.Scalars("ece")
    assert f"ece {ece.value:.4f}".rstrip("0") in log


def test_weights_and_biases_gets_calibration(training):
    folder, _ = training
    lines = [json.loads(line) for line in (folder / "given-to-wandb.jsonl").read_text().splitlines()]
    assert {"project": "smoothing", "reinit": False, "name": "run"} in [line.get("init") for line in lines]
    given = {(line["step"], name) for line in lines if "step" in line for name in line}
    for stage, steps in (("train_inner", [2, 4, 6]), ("train", [6]), ("valid", [6])):
        assert {(step, f"{stage}/{name}") for step in steps for name in QUANTITIES} <= given
