"""Items in Parquet: what is read is what was appended, a window at a time or at once, and bad files are named."""

import itertools
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from msgspec.structs import replace
from pyarrow import parquet

from mt_ls.calibration.bins import N_BINS, Bins
from mt_ls.records import SCHEMA, RecordError
from mt_ls.records import items as items_module
from mt_ls.records.items import PUBLISHED, TOKENS, Items, item_writers, read_items, write_items

N = 23


@pytest.fixture
def columns():
    """Columns of 23 items; the third has no prediction."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 9, N)
    lengths[2] = 0
    bins = np.zeros((N, 3, N_BINS), "f4")
    item, place = np.repeat(np.arange(N), lengths), rng.integers(0, N_BINS, lengths.sum())
    confidence, hit = rng.random(lengths.sum()).astype("f4"), rng.random(lengths.sum()) < 0.5
    for row, values in enumerate((np.ones(len(item)), confidence, hit)):
        np.add.at(bins[:, row], (item, place), values)
    return {
        "bins": bins,
        "nll": rng.random(N).astype("f4"),
        "bleu": rng.integers(0, 9, (N, 10)).astype("i4"),
        "text": [f"Tür {i}\n\t|" if i % 3 else "" for i in range(N)],
        "tokens": {
            "token": rng.integers(0, 8000, lengths.sum()).astype("i4"),
            "token_confidence": confidence,
            "token_hit": hit,
        },
        "lengths": lengths,
    }


def _part(columns, start, stop):
    """The columns of the items from ``start`` to ``stop``."""
    first, last = columns["lengths"][:start].sum(), columns["lengths"][:stop].sum()
    tokens = {name: values[first:last] for name, values in columns["tokens"].items()}
    rows = {name: values[start:stop] for name, values in columns.items() if name != "tokens"}
    return {**rows, "tokens": tokens}


def _write(folder, record, *parts):
    """The record that names its items, written part after part."""
    with item_writers(folder / "records.jsonl", [record()]) as (writer,):
        for part in parts:
            writer.append(**part)
    return record(items=f"{record().name}.parquet", n_sentences=sum(len(part["bins"]) for part in parts))


def _assert_equal(items, columns):
    np.testing.assert_array_equal(items.bins, columns["bins"])
    np.testing.assert_array_equal(items.n, columns["bins"][:, 0].sum(1))
    np.testing.assert_array_equal(items.nll, columns["nll"])
    np.testing.assert_array_equal(items.bleu, columns["bleu"])
    assert items.text == columns["text"]


@pytest.mark.parametrize("cuts", [(0, N), (0, 10, N), (0, 2, 3, 11, 11, N)])
def test_what_is_read_is_what_was_appended(tmp_path, record, columns, cuts):
    named = _write(tmp_path, record, *(_part(columns, *pair) for pair in itertools.pairwise(cuts)))
    _assert_equal(read_items(tmp_path, named), columns)
    table = pd.read_parquet(tmp_path / named.items)
    assert list(table["item"]) == list(range(N)) and set(table["record"]) == {record().name}
    for name, values in columns["tokens"].items():
        np.testing.assert_array_equal(np.concatenate(table[name]), values)
        assert [len(tokens) for tokens in table[name]] == list(columns["lengths"])


def test_a_column_that_was_not_appended_is_none(tmp_path, record, columns):
    named = _write(tmp_path, record, {"bins": columns["bins"]})
    items = read_items(tmp_path, named)
    np.testing.assert_array_equal(items.bins, columns["bins"])
    assert items.nll is None and items.bleu is None and items.text is None
    assert not set(TOKENS) & set(parquet.read_schema(tmp_path / named.items).names)


def test_a_file_has_the_version_of_its_schema(tmp_path, record, columns):
    named = _write(tmp_path, record, _part(columns, 0, N))
    assert parquet.read_schema(tmp_path / named.items).metadata[b"mt_ls_schema"] == str(SCHEMA).encode()


def test_writing_holds_no_more_than_a_part(tmp_path, record, columns, monkeypatch):
    """Each part is on its way to the file before the next one comes."""
    rows = []
    write_table = parquet.ParquetWriter.write_table
    monkeypatch.setattr(
        parquet.ParquetWriter, "write_table", lambda self, table: (rows.append(len(table)), write_table(self, table))
    )
    with item_writers(tmp_path / "records.jsonl", [record()]) as (writer,):
        for start in range(0, N, 5):
            writer.append(**_part(columns, start, min(start + 5, N)))
            assert sum(rows) == min(start + 5, N)
    file = parquet.ParquetFile(tmp_path / f"{record().name}.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [5, 5, 5, 5, 3]


def test_several_records_are_written_side_by_side(tmp_path, record, columns):
    planned = [record(temperature=t) for t in (0.5, 1.0)]
    with item_writers(tmp_path / "records.jsonl", planned) as writers:
        for scale, writer in zip((1, 2), writers, strict=True):
            writer.append(bins=columns["bins"], nll=scale * columns["nll"])
    for scale, one in zip((1, 2), planned, strict=True):
        items = read_items(tmp_path, record(temperature=one.temperature, items=f"{one.name}.parquet", n_sentences=N))
        np.testing.assert_array_equal(items.nll, scale * columns["nll"])


def test_files_appear_when_the_block_ends_well(tmp_path, record, columns):
    path = tmp_path / f"{record().name}.parquet"
    with pytest.raises(RuntimeError), item_writers(tmp_path / "records.jsonl", [record()]) as (writer,):
        writer.append(**_part(columns, 0, 10))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with item_writers(tmp_path / "records.jsonl", [record()]) as (writer,):
        writer.append(**_part(columns, 0, N))
        assert not path.exists()
    assert list(tmp_path.iterdir()) == [path]


def test_a_published_file_holds_several_records(tmp_path, record, columns):
    """A record may lack a column that another one has."""
    forced = record(items=PUBLISHED, n_sentences=N)
    beam = record(mode="beam", beam=5, items=PUBLISHED, n_sentences=9)
    counted = columns["bins"][:, 0].sum(1)
    items = {
        forced.name: Items(counted, columns["nll"], columns["bins"]),
        beam.name: Items(2 * counted[:9], None, 2 * columns["bins"][:9], columns["bleu"][:9], columns["text"][:9]),
    }
    write_items(tmp_path / PUBLISHED, items)
    first, second = read_items(tmp_path, forced), read_items(tmp_path, beam)
    np.testing.assert_array_equal(first.bins, columns["bins"])
    np.testing.assert_array_equal(first.nll, columns["nll"])
    assert first.bleu is None and first.text is None and second.nll is None and len(second.n) == 9
    np.testing.assert_array_equal(second.bins, 2 * columns["bins"][:9])
    np.testing.assert_array_equal(second.bleu, columns["bleu"][:9])
    table = pd.read_parquet(tmp_path / PUBLISHED)
    assert list(table["item"]) == [*range(N), *range(9)]


def test_a_record_that_names_no_items_has_none(tmp_path, record):
    assert read_items(tmp_path, record()) is None


def test_a_missing_file_is_named(tmp_path, record):
    with pytest.raises(
        RecordError, match=r"x\.parquet: missing; forced_test_T1\.0000_cccccccc_dddddddd needs it: copy"
    ):
        read_items(tmp_path, record(items="x.parquet"))


def test_a_path_that_is_not_utf_8_is_named(tmp_path, record, columns):
    folder = tmp_path / "\udcff"
    folder.mkdir()
    named = _write(tmp_path, record, _part(columns, 0, N))
    shutil.copy(tmp_path / named.items, folder)
    with pytest.raises(RecordError, match="a path that is not UTF-8, as Parquet files need it: rename the folder"):
        read_items(folder, named)


@pytest.mark.parametrize("kept", [0, 3, 100, -1])
def test_a_cut_file_is_named(tmp_path, record, columns, kept):
    named = _write(tmp_path, record, _part(columns, 0, N))
    path = tmp_path / named.items
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(RecordError, match=r"\.parquet: cannot be read \(.*remove its record, and measure again"):
        read_items(tmp_path, named)


def test_a_file_without_the_record_is_named(tmp_path, record, columns):
    named = _write(tmp_path, record, _part(columns, 0, N))
    other = record(temperature=2.0, items=named.items)
    with pytest.raises(RecordError, match=r"cannot be read \(it has no items of forced_test_T2\.0000_cccccccc"):
        read_items(tmp_path, other)


def test_a_file_that_changed_is_read_again(tmp_path, record, columns):
    named = _write(tmp_path, record, _part(columns, 0, N))
    assert len(read_items(tmp_path, named).n) == N
    named = _write(tmp_path, record, _part(columns, 0, 9))
    assert len(read_items(tmp_path, named).n) == 9


def test_items_of_other_sentences_are_refused(tmp_path, record, columns):
    """As where one file was written over by that of another set."""
    named = _write(tmp_path, record, _part(columns, 0, N))
    with pytest.raises(RecordError, match=r"23 items for the 22 of forced_test"):
        read_items(tmp_path, replace(named, n_sentences=22))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda table: table.replace_schema_metadata({"mt_ls_schema": "1"}),
            "its schema is 1, and this",
        ),
        (lambda table: table.replace_schema_metadata({}), "its schema is none"),
        (lambda table: table.drop_columns("count"), "count"),
        (lambda table: _with(table, "bin", [[99]] * N), "out of bounds"),
        (lambda table: _with(table, "bleu", [[1, 2]] * N), "bleu needs 10 numbers an item"),
    ],
)
def test_a_damaged_table_is_one_line(tmp_path, record, columns, change, message):
    named = _write(tmp_path, record, _part(columns, 0, N))
    parquet.write_table(change(parquet.read_table(tmp_path / named.items)), tmp_path / named.items)
    with pytest.raises(RecordError, match=rf"cannot be read \(.*{message}.*measure again"):
        read_items(tmp_path, named)


def _with(table, name, values):
    """The table with another column of that name, and with lists as long beside it."""
    for column in ("count", "confidence", "hits") if name == "bin" else ():
        place = table.column_names.index(column)
        table = table.set_column(place, column, pa.array([[1]] * N, table[column].type))
    return table.set_column(table.column_names.index(name), name, pa.array(values, table[name].type))


def test_bins_of_another_number_are_read(tmp_path, record):
    bins = np.zeros((2, 3, 7), "f4")
    bins[0, :, 6] = 1
    with item_writers(tmp_path / "records.jsonl", [record()]) as (writer,):
        writer.append(bins=bins)
    named = record(items=f"{record().name}.parquet", bins=Bins.zeros(7), n_sentences=2)
    np.testing.assert_array_equal(read_items(tmp_path, named).bins, bins)


def test_the_columns_are_documented():
    for name in items_module._TYPES:
        assert f"``{name}``" in items_module.__doc__
