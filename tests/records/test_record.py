"""One line a measurement, whole or not at all."""

import dataclasses
import json
import multiprocessing
import subprocess
import sys

import numpy as np
import pytest
from builders import measurement

from mt_ls.calibration.bins import Bins
from mt_ls.records.record import RecordError, append, read, sha256_of, written_whole


def test_round_trip_keeps_everything_and_stores_no_ece(tmp_path):
    path = tmp_path / "deep" / "records.jsonl"
    append(path, measurement(bins_by_class={"eos": Bins.of([0.5], [1])}))
    (found,) = read(path)
    assert found.nll == 1.5 and found.bleu is None
    np.testing.assert_array_equal(found.bins_by_class["eos"].count, Bins.of([0.5], [1]).count)
    fields = json.loads(path.read_text())
    assert "ece" not in fields and "bleu" not in fields
    assert fields["signature"] == found.signature
    assert found.signature == (
        "ECE|mode:forced|hit:argmax|unit:spm|split:test|bins:15w|T:1.00|a:0.10paper|n:2|s:1|ck:cccccccc|data:dddddddd"
        "|code:eeeeeee|v:0.1.0"
    )


def test_a_torn_line_is_skipped_and_then_replaced(tmp_path):
    path = tmp_path / "records.jsonl"
    append(path, measurement())
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    assert len(read(path)) == 1
    append(path, measurement(temperature=2.0))
    assert [record.temperature for record in read(path)] == [1.0, 2.0]


def _append_many(path, first):
    for i in range(20):
        append(path, measurement(temperature=float(first + i)))


def test_writers_do_not_mix_their_lines(tmp_path):
    path = tmp_path / "records.jsonl"
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_append_many, args=(path, 1 + 100 * k)) for k in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len({record.temperature for record in read(path)}) == 60


def test_a_bad_line_is_named(tmp_path):
    path = tmp_path / "records.jsonl"
    append(path, measurement())
    with path.open("a") as file:
        file.write('{"run": 1}\n')
    with pytest.raises(RecordError, match=r"records.jsonl:2: not a record"):
        read(path)


@pytest.mark.parametrize(
    "fields", [{"nll": np.inf}, {"geometry": {"nc1": np.nan}}, {"bleu": {"counts": [1.0, -np.inf]}}]
)
def test_what_is_not_finite_is_named_and_not_written(fields, tmp_path):
    (name,) = fields
    with pytest.raises(RecordError, match=rf"not finite on test at T = 1: {name}; .* diverged"):
        append(tmp_path / "records.jsonl", dataclasses.replace(measurement(), **fields))
    assert not any(tmp_path.iterdir())


def test_key_tells_work_apart():
    changes = ({}, {"temperature": 1.1}, {"mode": "beam"}, {"split": "valid"}, {"beam": 4})
    keys = {measurement(**change).key() for change in changes}
    assert len(keys) == 5


def test_a_failed_write_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), written_whole(tmp_path / "x") as path:
        path.write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_sha256_is_that_of_coreutils(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    assert sha256_of(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_the_core_needs_no_fairseq():
    modules = "mt_ls.smoothing, mt_ls.calibration, mt_ls.temperature, mt_ls.alignment, mt_ls.records, analysis.report"
    code = f"import sys, {modules}\nassert 'fairseq' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
