"""Rows from records: loaded, chosen, and as a data frame."""

import numpy as np
import pytest
from builders import item_bins, record, row, write, write_records

from analysis.quantities import frame
from analysis.rows import at_fitted, held_out, load, main_search, mean, of_one_corpus, of_widest_grid, select
from mt_ls.calibration.bins import Bins
from mt_ls.records import RecordError


def test_rows_are_chosen_by_fields_of_the_record_and_of_its_model(tmp_path):
    write_records(tmp_path)
    rows = load([tmp_path])
    assert len(rows) == 24
    assert len(select(rows, amount=0.1, mode="beam", split="test")) == 3
    assert {one.record.temperature for one in at_fitted(rows)} == {1.2}
    assert select(rows, temperature=1.0 + 1e-9) == select(rows, temperature=1.0) != []
    assert select(rows, corpus="other") == []


def test_the_same_work_twice_counts_once(tmp_path):
    for nll in (1.0, 2.0):
        write(tmp_path, record(nll=nll))
    (only,) = load([tmp_path])
    assert only.record.nll == 2.0 and only.items is None


def test_a_copy_of_a_checkpoint_is_a_run_of_its_own(tmp_path):
    sha = record().sha
    for run in ("original", "copy"):
        write(tmp_path / run, record(run=run, sha=sha))
    assert [row.record.run for row in load([tmp_path / "original", tmp_path / "copy"])] == ["original", "copy"]


def test_missing_paths_and_several_corpora_are_named(tmp_path):
    with pytest.raises(RecordError, match="nowhere: no such file or folder"):
        load([tmp_path / "nowhere"])
    with pytest.raises(RecordError, match="no record"):
        load([tmp_path])
    rows = [row(corpus="a"), row(corpus="b")]
    with pytest.raises(RecordError, match=r"several corpora \(a, b\)"):
        of_one_corpus(rows, None)
    with pytest.raises(RecordError, match="no record of corpus 'c'"):
        of_one_corpus(rows, "c")
    assert of_one_corpus(rows, "b") == rows[1:]


def test_items_that_chose_the_temperature_do_not_report(tmp_path):
    hits = np.repeat([9, 2, 9, 3], 10) > np.tile(np.arange(10), 4)
    bins = item_bins(np.full(40, 0.2), hits, np.repeat(np.arange(4), 10), 4)
    summed = Bins.from_sums(bins.sum(0))
    on_valid = write(tmp_path, record(split="valid", fitted_on="valid", bins=summed), bins=bins)
    assert held_out(on_valid).ece() == pytest.approx(0.05)  # 5 of 20 against 0.2
    on_test = row(split="test", fitted_on="valid", bins=summed)
    assert held_out(on_test) is on_test.record.bins
    assert held_out(row(split="valid", fitted_on="valid")) is None


def test_curves_are_of_the_beam_that_was_searched_most():
    rows = [row(mode="beam", beam=beam, lenpen=1.0, temperature=t) for beam, t in ((5, 0.9), (5, 1.0), (50, 1.0))]
    forced = row()
    assert main_search([*rows, forced]) == [*rows[:2], forced]
    half = [row(mode="beam", beam=5, lenpen=1.0, search_precision="fp16", temperature=t) for t in (0.9, 1.0, 1.1)]
    assert main_search([*rows, *half[1:]]) == rows[:2] and main_search([*rows, *half]) == half
    assert main_search([forced]) == [forced]


def test_a_mean_is_of_what_was_measured():
    assert mean([None, 1.0, 3.0]) == 2.0
    assert mean([None]) is None


def test_every_record_is_a_line_of_a_data_frame(tmp_path):
    write_records(tmp_path)
    table = frame([tmp_path])
    assert len(table) == 24 and table["name"].is_unique
    hard = table[(table["model.smoothing.amount"] == 0.0) & (table["mode"] == "forced") & (table["split"] == "test")]
    expected = {
        one.record.temperature: one.record.bins.ece()
        for one in load([tmp_path / "records.jsonl"])
        if (one.record.model.smoothing.amount, one.record.mode, one.record.split) == (0.0, "forced", "test")
    }
    assert dict(zip(hard["temperature"], hard["ece"], strict=True)) == expected


def test_the_widest_grid_is_that_of_the_runs_with_the_most_temperatures():
    """A fitted temperature counts for no run, even where two share it; a run with one of the grid has no less."""

    def run(name, temperatures, fitted):
        return [row(run=name, temperature=t, fitted_temperature=fitted) for t in {*temperatures, fitted}]

    wide = [*run("a", (0.9, 1.0, 1.4), 0.98), *run("b", (0.9, 1.0, 1.4), 0.98), *run("c", (0.9, 1.0, 1.4), 0.97)]
    on_grid, narrow = run("d", (0.9, 1.0, 1.4), 1.4), run("e", (0.9, 1.0), 0.98)
    assert of_widest_grid([*wide, *on_grid, *narrow]) == [*wide, *on_grid]
    assert of_widest_grid(narrow) == narrow and of_widest_grid([]) == []
