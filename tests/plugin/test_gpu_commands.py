"""Half precision on a GPU through the real commands: training, going on, validating and measuring."""

import json

import pytest
import torch
from commands import MODEL, command, module, run

from mt_ls.records import read

pytestmark = pytest.mark.gpu

ON_A_GPU = [option for option in MODEL if option != "--cpu"]


def _commanded(data, folder, option, updates):
    """The finished process of ``python -m mt_ls.train`` in half precision."""
    size = ["--max-tokens", "600", "--max-update", updates, "--no-epoch-checkpoints", "--save-dir", folder]
    return run(module("mt_ls.train", data, *ON_A_GPU, *size, option))


@pytest.fixture(scope="module", params=["--bf16", "--fp16"])
def half(request, data, tmp_path_factory):
    """(Option, checkpoint) of six updates in half precision."""
    folder = tmp_path_factory.mktemp(request.param.strip("-"))
    finished = _commanded(data, folder / "checkpoints", request.param, 6)
    assert finished.returncode == 0, finished.stderr[-2000:]
    return request.param, folder / "checkpoints" / "checkpoint_last.pt"


def test_half_precision_trains_and_goes_on(half, data):
    option, checkpoint = half
    finished = _commanded(data, checkpoint.parent, option, 12)
    assert finished.returncode == 0, finished.stderr[-2000:]
    assert "@ 6 updates" in finished.stdout
    state = torch.load(checkpoint, weights_only=True)
    assert state["optimizer_history"][-1]["num_updates"] == 12
    assert state["optimizer_history"][-1]["optimizer_name"] == "FP16Optimizer"
    assert all(torch.isfinite(values).all() for values in state["model"].values())


def test_half_precision_validates(half, data):
    option, checkpoint = half
    options = ["--user-dir", "mt_ls", "--task", "translation_with_calibration", "--path", checkpoint]
    options += ["--valid-subset", "test", "--batch-size", "50", "--log-format", "json"]
    options += ["--fp16"] if option == "--fp16" else []
    finished = run(command("fairseq-validate", data, *options))
    assert finished.returncode == 0, finished.stderr[-2000:]
    (line,) = [line for line in (finished.stdout + finished.stderr).splitlines() if "test_ece" in line]
    values = json.loads(line[line.index("{") :])
    assert 0 < float(values["test_ece"]) < 1 and values["test_bsz"] == "211"


def test_half_precision_is_measured(half, data, tmp_path):
    option, checkpoint = half
    options = ["--path", checkpoint, "--records", tmp_path / "records.jsonl", "--temperatures", "1.0"]
    finished = run(module("mt_ls.measure", data, *options))
    assert finished.returncode == 0, finished.stderr[-2000:]
    record = next(record for record in read(tmp_path / "records.jsonl") if record.mode == "forced")
    assert record.n_sentences == 211 and 0 < record.nll < 20
    assert record.model.precision == option.strip("-")


def test_a_loss_that_is_not_finite_names_its_update(data, tmp_path):
    options = ["--max-tokens", "600", "--max-update", "20", "--lr", "1e30", "--lr-scheduler", "fixed"]
    finished = run(module("mt_ls.train", data, *ON_A_GPU, *options, "--save-dir", tmp_path))
    assert finished.returncode == 1
    assert "error: update 2: the loss or its gradient is not finite" in finished.stderr
    assert not list(tmp_path.glob("*.pt"))
