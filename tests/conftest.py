"""The real commands on the synthetic corpus, run once and shared: data, and a model trained with a kill between."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# Models this small run faster on one thread than on two, and tests then bear company.
os.environ["OMP_NUM_THREADS"] = "1"
ROOT = Path(__file__).resolve().parents[1]
SIZE = ["--max-tokens", "600", "--max-update", "120", "--save-interval-updates", "15", "--keep-interval-updates", "2"]


def command(name, *arguments):
    """A command line of fairseq's in this environment."""
    return [str(Path(sys.executable).with_name(name)), *map(str, arguments)]


def run(arguments, **options):
    """Run from the repository's root; the finished process with its text output."""
    return subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, **options)


# A small Transformer with the plugin on a CPU.
MODEL = [
    "--user-dir",
    "mt_ls",
    "--task",
    "translation_with_calibration",
    "--arch",
    "transformer_mt_ls_micro",
    "--criterion",
    "label_smoothed_cross_entropy_with_calibration",
    "--label-smoothing",
    "0.1",
    "--share-all-embeddings",
    "--optimizer",
    "adam",
    "--lr",
    "0.005",
    "--lr-scheduler",
    "inverse_sqrt",
    "--warmup-updates",
    "40",
    "--dropout",
    "0.1",
    "--cpu",
    "--num-workers",
    "0",
    "--no-progress-bar",
    "--log-format",
    "simple",
    "--seed",
    "1",
]


def train_command(data, save_dir, *options):
    """fairseq-train of that model."""
    return command("fairseq-train", data, *MODEL, "--no-epoch-checkpoints", "--save-dir", save_dir, *options)


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """data-bin of the synthetic corpus: 2 000 / 200 / 211."""
    out = tmp_path_factory.mktemp("data-bin") / "synthetic"
    found = run([sys.executable, "-m", "data_prep", "synthetic", "--out", str(out)])
    assert found.returncode == 0, found.stderr
    return out


@pytest.fixture(scope="session")
def training(data, tmp_path_factory):
    """(folder of checkpoints, log of the first run, log of the second): killed at its first checkpoint, run again."""
    folder = tmp_path_factory.mktemp("runs") / "synthetic_a0.1_s1" / "checkpoints"
    log = folder.parent.parent / "killed.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            train_command(data, folder, *SIZE), cwd=ROOT, stdout=output, stderr=output, preexec_fn=os.setsid
        )
        deadline = time.time() + 300
        # stock fairseq copies the best checkpoint to the last one in place, and says so when it is whole
        while "Saved checkpoint" not in log.read_text() and process.poll() is None and time.time() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    again = run(train_command(data, folder, *SIZE))
    assert again.returncode == 0, again.stderr[-2000:]
    return folder, log.read_text(), again.stdout + again.stderr


@pytest.fixture(scope="session")
def checkpoint(training):
    """A trained checkpoint."""
    return training[0] / "checkpoint_last.pt"


def logged(text, key):
    """The last value that a fairseq log gives for a key."""
    return float(re.findall(rf"{key}[ =]([-\d.e]+)", text)[-1])


@pytest.fixture(scope="session")
def loaded(checkpoint, data):
    """(models, task, every sample of test in one batch), loaded as fairseq does it."""
    import fairseq  # noqa: F401
    from fairseq import checkpoint_utils

    import mt_ls.plugin  # noqa: F401

    models, _, task = checkpoint_utils.load_model_ensemble_and_task([str(checkpoint)], {"data": str(data)})
    task.load_dataset("test")
    dataset = task.datasets["test"]
    return [model.eval() for model in models], task, dataset.collater([dataset[i] for i in range(len(dataset))])
