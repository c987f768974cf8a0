"""A recipe with two workers: real processes over gloo."""

import pytest
from trees import run_recipe

from mt_ls.records import read


@pytest.mark.slow
def test_two_workers_train_and_measure_one_model(tree):
    process = run_recipe(tree, "iwslt14/run.sh", SCALE="smoke", GPUS="2", ALPHAS="0.1")
    assert process.returncode == 0, process.stderr[-3000:]
    run = tree / "runs" / "iwslt14_smoke_a0.10_s1"
    assert "distributed_world_size=2" in (run / "train.log").read_text().replace("': ", "=")
    assert {record.mode for record in read(run / "records.jsonl")} == {"forced", "beam"}
    assert (tree / "out" / "iwslt14_smoke" / "report.html").exists()
