"""Training with two workers over gloo is training with one worker that accumulates two batches."""

import re

import pytest
from commands import MODEL, module, run


@pytest.mark.slow
def test_two_workers_log_what_one_worker_that_accumulates_logs(data, tmp_path):
    """Without dropout, whose masks are different in each worker."""

    def logged(name, workers, *options):
        size = ("--dropout", "0", "--max-tokens", "600", "--max-update", "24", "--no-epoch-checkpoints")
        folder = ("--save-dir", tmp_path / name)
        process = run(module("mt_ls.train", data, *MODEL, *size, *folder, *options, workers=workers))
        assert process.returncode == 0, process.stderr
        keys = "loss|nll_loss|ece|confidence|token_accuracy|num_updates"
        lines = [line for line in process.stdout.splitlines() if " | epoch " in line]
        return [re.findall(rf"\b({keys}) ([\d.]+)", line) for line in lines]

    two, accumulated = logged("two", 2), logged("accumulated", 1, "--update-freq", "2")
    assert two == accumulated and len(two) == 4  # two epochs, each with a validation
