"""Published evidence gives the same tables as the runs, and is smaller."""

import numpy as np
import pytest
from builders import record, write, write_records

from analysis import publish
from analysis.rows import load, select
from analysis.study import Study
from analysis.tables import tables
from mt_ls.records.items import PUBLISHED


def texts(folder):
    return [table.text() for table in tables(Study(load([folder])))]


def test_published_records_give_the_same_tables(tmp_path, capsys):
    write_records(tmp_path / "runs")
    out = tmp_path / "out"
    assert publish.main([str(tmp_path / "runs"), "--out", str(out)]) == 0
    assert capsys.readouterr().out.startswith("24 records published")
    assert {path.name for path in out.iterdir()} == {"records.jsonl", PUBLISHED}
    assert texts(out) == texts(tmp_path / "runs")
    before = (out / "records.jsonl").read_bytes()
    publish.publish(load([out]), out)  # onto itself, as to add a run to what is published
    assert texts(out) == texts(tmp_path / "runs") and (out / "records.jsonl").read_bytes() == before


def test_every_reported_split_is_published(tmp_path):
    """Whatever its name, and whatever split chose the temperature."""
    write_records(tmp_path / "runs", splits=("valid", "test1", "test2"))
    publish.publish(load([tmp_path / "runs"]), tmp_path / "out")
    rows = load([tmp_path / "out"])
    searched = {split: [row.items for row in select(rows, mode="beam", split=split)] for split in ("test1", "test2")}
    assert all(items is not None and items.text for of_split in searched.values() for items in of_split)
    assert not any(row.items.text for row in select(rows, mode="beam", split="valid") if row.items)
    assert texts(tmp_path / "out") == texts(tmp_path / "runs")


def test_a_record_names_only_what_was_kept(tmp_path):
    write_records(tmp_path / "runs")
    publish.publish(load([tmp_path / "runs"]), tmp_path / "out")
    rows = load([tmp_path / "out"])
    assert {row.record.items for row in rows} == {PUBLISHED, None}
    for row in rows:
        assert (row.items is None) == (row.record.items is None)
    forced = select(rows, mode="forced", split="test", amount=0.1)
    assert all(row.items.nll is not None and row.items.bins is not None for row in forced)  # 0.8 was searched
    assert [
        row.record.temperature for row in select(rows, mode="beam") if row.items and row.items.bins is not None
    ] == [1.0, 1.2] * 2
    assert all(row.items.text[3] == "Satz 3" for row in select(rows, mode="beam", split="test"))
    choosing = {row.record.temperature: row.items for row in select(rows, mode="beam", split="valid", amount=0.1)}
    assert choosing[0.8] is None
    for items in (choosing[1.0], choosing[1.2]):
        assert items.scores is not None and items.chrf is not None
        assert items.text is items.bins is items.bleu is None


def test_bins_where_nothing_was_searched_are_left_out(tmp_path):
    write_records(tmp_path / "runs", beam=False)
    publish.publish(load([tmp_path / "runs"]), tmp_path / "out")
    kept = {
        row.record.temperature: row.items.bins is not None for row in select(load([tmp_path / "out"]), split="test")
    }
    assert kept == {0.8: False, 1.0: True, 1.2: True}


def test_sums_of_confidence_are_rounded_and_counts_are_exact(tmp_path):
    write_records(tmp_path / "runs")
    publish.publish(load([tmp_path / "runs"]), tmp_path / "out")
    (before,), (after,) = (
        select(load([tmp_path / name]), amount=0.1, mode="forced", split="test", temperature=1.0)
        for name in ("runs", "out")
    )
    np.testing.assert_array_equal(after.items.bins[:, [0, 2]], before.items.bins[:, [0, 2]])
    gap = np.abs(after.items.bins[:, 1] - before.items.bins[:, 1]).max()
    assert 0 < gap <= 2**-15


def test_of_images_only_what_intervals_on_test_need_is_published(tmp_path):
    for split, t in (("train", 1.0), ("valid", 1.0), ("valid", 2.0), ("test", 1.0), ("test", 2.0), ("test", 3.0)):
        of = record(mode="images", split=split, temperature=t, fitted_temperature=2.0)
        write(tmp_path / "runs", of, bins=np.ones((2, 3, 15)), nll=np.ones(2))
    publish.publish(load([tmp_path / "runs"]), tmp_path / "out")
    rows = load([tmp_path / "out"])
    kept = {(row.record.split, row.record.temperature) for row in rows if row.items}
    assert len(rows) == 6 and kept == {("test", 1.0), ("test", 2.0)}
    assert all(row.items.nll is None for row in rows if row.items)


def test_items_that_are_gone_are_not_left_out_in_silence(tmp_path, capsys):
    write_records(tmp_path / "runs")
    next((tmp_path / "runs").glob("forced_test_T1.0000_*.parquet")).unlink()
    assert publish.main([str(tmp_path / "runs"), "--out", str(tmp_path / "out")]) == 2
    assert "missing" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_the_records_of_a_run_are_not_replaced(tmp_path, capsys):
    write_records(tmp_path / "run")
    before = texts(tmp_path / "run")
    assert publish.main([str(tmp_path / "run"), "--out", str(tmp_path / "run" / ".")]) == 2
    assert "the folder of run toy_a0.0_s1: publish in another one" in capsys.readouterr().err
    assert texts(tmp_path / "run") == before
    for records in ("run", "out"):  # a published folder is replaced
        assert publish.main([str(tmp_path / records), "--out", str(tmp_path / "out")]) == 0


def test_numbers_of_uncommitted_code_are_not_published(tmp_path, capsys):
    sha = {"data": "d" * 64, "checkpoint": "c" * 64, "code": "e" * 40 + "+dirty"}
    write(tmp_path / "runs", record(sha=sha))
    assert publish.main([str(tmp_path / "runs"), "--out", str(tmp_path / "out")]) == 2
    assert "uncommitted code" in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.parametrize("by", ["model", "run"])
def test_a_study_of_published_evidence_can_be_by_model_or_by_run(tmp_path, by):
    write_records(tmp_path / "runs")
    publish.publish(load([tmp_path / "runs"]), tmp_path / "out")
    assert len(Study(load([tmp_path / "out"]), by).entries) == 2


def test_pandas_and_datasets_read_what_is_published(tmp_path):
    import datasets
    import pandas

    write_records(tmp_path / "runs")
    publish.publish(load([tmp_path / "runs"]), tmp_path / "out")
    file = str(tmp_path / "out" / PUBLISHED)
    table = pandas.read_parquet(file)
    rows = datasets.load_dataset("parquet", data_files=file, split="train", cache_dir=str(tmp_path / "cache"))
    kept = [row for row in load([tmp_path / "out"]) if row.record.items]
    assert len(table) == len(rows) == 20 * len(kept)
    for row in kept:
        ours = table[table["record"] == row.record.name]
        assert ours["n"].tolist() == row.items.n.tolist()
    assert rows["record"][:] == table["record"].tolist()
