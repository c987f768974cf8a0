"""What is published gives the same tables as the runs, and is smaller."""

import sys

import numpy as np
from builders import measurement, write_records
from conftest import run

from analysis import publish
from analysis import rows as table
from analysis.tables import quality
from mt_ls.records.record import append


def test_published_records_give_the_same_tables(tmp_path):
    write_records(tmp_path / "runs")
    arrays = tmp_path / "runs" / "x1.0.npz"
    np.savez(arrays, sentence_bins=np.load(arrays)["sentence_bins"], confidence=np.ones(9))
    names = {"x0.8.npz", "x1.0.npz", "x1.2.npz"}
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "stale.npz").write_bytes(b"")
    found = run([sys.executable, "-m", "analysis.publish", str(tmp_path / "runs"), "--out", str(tmp_path / "out")])
    assert found.returncode == 0 and found.stdout.startswith("24 records published"), found.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"records.jsonl", *names}
    assert list(np.load(tmp_path / "out" / "x1.0.npz")) == ["sentence_bins"]
    theirs, ours = (table.load([tmp_path / name]) for name in ("runs", "out"))
    assert quality.main_table(ours) == quality.main_table(theirs)
    publish.publish(ours, tmp_path / "out")  # onto itself, as to add a run to what is published
    assert list(np.load(tmp_path / "out" / "x1.0.npz")) == ["sentence_bins"]


def test_of_images_only_what_intervals_on_test_and_planes_need_is_published(tmp_path):
    runs, out = tmp_path / "runs", tmp_path / "out"
    runs.mkdir()
    planes = {("train", 1.0): [], ("valid", 1.0): [["cat", "dog", "airplane"]]}
    for split, t in (*planes, ("valid", 2.0), ("test", 1.0), ("test", 2.0), ("test", 3.0)):
        geometry = {"nc1": 1.0, "planes": planes[split, t]} if (split, t) in planes else None
        name = f"{split}_{t:g}.npz"
        np.savez(runs / name, sentence_bins=np.ones((2, 3, 15)), plane_0=np.ones((3, 2)))
        append(
            runs / "records.jsonl",
            measurement(
                mode="images", split=split, temperature=t, arrays=name, fitted_temperature=2.0, geometry=geometry
            ),
        )
    publish.publish(table.load([runs]), out)
    found = {path.stem: sorted(np.load(path)) for path in out.glob("*.npz")}
    both = ["plane_0", "sentence_bins"]
    assert found == {"test_1": both, "test_2": both, "valid_1": ["plane_0"]}
    assert len(table.load([out])) == 6
    publish.publish(table.load([out]), out)  # onto itself: what was left behind is not missed


def test_arrays_that_are_gone_are_not_left_out_in_silence(tmp_path, capsys):
    write_records(tmp_path / "runs")
    (tmp_path / "runs" / "x1.0.npz").unlink()
    assert publish.main([str(tmp_path / "runs"), "--out", str(tmp_path / "out")]) == 2
    assert "x1.0.npz: missing" in capsys.readouterr().err


def test_numbers_of_uncommitted_code_are_not_published(tmp_path, capsys):
    sha = {"data": "d" * 64, "checkpoint": "c" * 64, "code": "e" * 40 + "+dirty"}
    append(tmp_path / "records.jsonl", measurement(sha=sha))
    assert publish.main([str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "uncommitted code" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
