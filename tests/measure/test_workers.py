"""Workers: what they share without a group, and real processes whose records are those of one."""

import json

import pytest
from commands import module, run

from mt_ls.measure.workers import ALONE, Workers, joined, local_rank, rank
from mt_ls.records import read


def test_a_process_without_torchrun_is_alone(monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    assert joined() is ALONE and rank() == local_rank() == 0
    assert ALONE.is_first and ALONE.share([1, 2]) == [1, 2]
    assert ALONE.gather("part") == ["part"] and ALONE.from_first(lambda: 3) == 3


def test_torchruns_variables_are_read(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    for name, value in {"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "1"}.items():
        monkeypatch.setenv(name, value)
    assert rank() == 3 and local_rank() == 1 and joined() is ALONE


def test_shares_are_disjoint_and_hold_everything():
    items = list(range(11))
    shares = [Workers(3, number).share(items) for number in range(3)]
    assert sorted(item for share in shares for item in share) == items
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.slow
def test_records_of_two_workers_are_those_of_one(data, checkpoint, tmp_path):
    """In the split valid fairseq would shuffle sentences of equal length, differently in each process."""
    outputs = []
    for workers in (1, 2):
        path = tmp_path / str(workers) / "records.jsonl"
        options = ("--beam", 3, "--batch-size", 20, "--temperatures", 0.8, 1.0, "--gen-subset", "valid")
        arguments = module(
            "mt_ls.measure", data, "--path", checkpoint, "--cpu", "--records", path, *options, workers=workers
        )
        process = run(arguments)
        assert process.returncode == 0, process.stderr
        outputs.append(process.stdout)
    assert outputs[0] == outputs[1]
    one, two = (
        [{**json.loads(line), "seconds": 0} for line in (tmp_path / n / "records.jsonl").read_text().splitlines()]
        for n in ("1", "2")
    )
    assert one == two and len(one) == 6
    for record in read(tmp_path / "1" / "records.jsonl"):
        assert (tmp_path / "1" / record.items).read_bytes() == (tmp_path / "2" / record.items).read_bytes()
