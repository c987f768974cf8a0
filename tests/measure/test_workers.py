"""Two workers over gloo, real processes: the numbers are those of one."""

import dataclasses
import re
import sys

import numpy as np
import pytest
from conftest import MODEL, run

from mt_ls.records.record import read

TWO = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def _measure(data, checkpoint, records, launch, split):
    found = run(
        [
            sys.executable,
            *launch,
            "-m",
            "mt_ls.measure",
            str(data),
            "--path",
            str(checkpoint),
            "--cpu",
            "--beam",
            "3",
            "--batch-size",
            "20",
            "--temperatures",
            "0.8",
            "1.0",
            "--records",
            str(records),
            "--gen-subset",
            split,
        ]
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.mark.slow
@pytest.mark.parametrize("split", ["valid", "test"])
def test_records_of_two_workers_are_those_of_one(data, checkpoint, tmp_path, split):
    told = [
        _measure(data, checkpoint, tmp_path / name / "records.jsonl", launch, split)
        for name, launch in (("one", []), ("two", TWO))
    ]
    assert told[0] == told[1]
    one, two = (
        [dataclasses.replace(record, seconds=None) for record in read(tmp_path / name / "records.jsonl")]
        for name in ("one", "two")
    )
    assert [record.to_json() for record in one] == [record.to_json() for record in two] and len(one) == 6
    for record in one:
        with np.load(tmp_path / "one" / record.arrays) as ours, np.load(tmp_path / "two" / record.arrays) as theirs:
            assert set(ours) == set(theirs)
            for name in ours:
                np.testing.assert_array_equal(ours[name], theirs[name])


@pytest.mark.slow
def test_training_with_two_workers_is_training_with_one_that_accumulates(data, tmp_path):
    """Without dropout, whose masks are each worker's own."""

    def losses(name, launch, *options):
        found = run(
            [
                sys.executable,
                *launch,
                "-m",
                "mt_ls.train",
                str(data),
                *MODEL,
                "--dropout",
                "0",
                "--max-tokens",
                "600",
                "--max-update",
                "24",
                "--no-epoch-checkpoints",
                "--save-dir",
                str(tmp_path / name),
                *options,
            ]
        )
        assert found.returncode == 0, found.stderr
        keys = "loss|nll_loss|ece|confidence|token_accuracy|num_updates"
        return [re.findall(rf"\b({keys}) ([\d.]+)", line) for line in found.stdout.splitlines() if " | epoch " in line]

    two, accumulated = losses("two", TWO), losses("one", [], "--update-freq", "2")
    assert two == accumulated and len(two) == 4  # two epochs, each with a validation
