"""Rows from records: chosen, resampled, laid out."""

import numpy as np
import pytest
import torch
from builders import measurement, write_records

from analysis import rows as table
from mt_ls.calibration.bins import Bins, bin_sums
from mt_ls.records.record import RecordError, append


def test_interval_covers_the_ece_and_matches_a_plain_bootstrap(tmp_path):
    rng = np.random.default_rng(1)
    confidence, sentence = rng.beta(3, 1, 4000), np.repeat(np.arange(400), 10)
    hit = rng.random(4000) < confidence**2
    sums = [bin_sums(torch.tensor(confidence[sentence == i]), torch.tensor(hit[sentence == i])) for i in range(400)]
    np.savez(tmp_path / "x.npz", sentence_bins=np.stack(sums))
    row = table.Row(measurement(arrays="x.npz", bins=Bins.of(confidence, hit)), tmp_path)
    low, high = table.interval(row)
    plain = []
    for _ in range(300):
        chosen = rng.integers(400, size=400)
        index = (chosen[:, None] * 10 + np.arange(10)).reshape(-1)
        plain.append(Bins.of(confidence[index], hit[index]).ece())
    np.testing.assert_allclose((low, high), np.quantile(plain, [0.025, 0.975]), atol=0.004)
    assert low < row.record.bins.ece() < high


def test_interval_of_a_mean_counts_sentences_and_seeds(tmp_path):
    rng = np.random.default_rng(2)
    rows = []
    for seed, accuracy in enumerate((0.5, 0.6, 0.7)):  # a confidence of 0.9 everywhere: ECE 0.4, 0.3, 0.2
        sums = np.zeros((400, 3, 15))
        sums[:, 0, 13], sums[:, 1, 13], sums[:, 2, 13] = 10, 9, rng.binomial(10, accuracy, size=400)
        np.savez(tmp_path / f"{seed}.npz", sentence_bins=sums)
        found = measurement(seed=seed, arrays=f"{seed}.npz", bins=Bins.from_sums(sums.sum(0)))
        rows.append(table.Row(found, tmp_path))
    ece = [row.record.bins.ece() for row in rows]
    low, high = table.interval_of_mean(rows)
    assert (low + high) / 2 == pytest.approx(np.mean(ece))
    of_seeds = 4.303 * np.std(ece, ddof=1) / 3**0.5  # Student's t, 2 degrees of freedom
    assert (high - low) / 2 == pytest.approx(of_seeds, rel=0.02)  # sentences add little here
    assert table.interval_of_mean(rows[:1]) == table.interval(rows[0])
    assert table.interval_of_mean([]) is None
    assert table.interval_of_mean([*rows, table.Row(rows[0].record, tmp_path / "elsewhere")]) is None


def test_rows_are_chosen_by_their_fields(tmp_path):
    write_records(tmp_path / "runs")
    rows = table.load([tmp_path / "runs"])
    assert len(rows) == 24 and table.alphas(rows) == [0.0, 0.1]
    assert len(table.select(rows, alpha=0.1, mode="beam", split="test")) == 3
    assert {row.record.temperature for row in table.at_fitted(rows)} == {1.2}
    assert table.select(rows, temperature=1.0 + 1e-9) == table.select(rows, temperature=1.0)


def test_the_same_work_twice_counts_once(tmp_path):
    for nll in (1.0, 2.0):
        append(tmp_path / "records.jsonl", measurement(nll=nll))
    (row,) = table.load([tmp_path])
    assert row.record.nll == 2.0
    assert table.interval(row) is None  # no arrays beside it


def test_the_sentences_that_were_fitted_on_do_not_report(tmp_path):
    sums = np.zeros((4, 3, 15))
    sums[:, 0, 3], sums[:, 1, 3], sums[:, 2, 3] = 10, 2, (9, 2, 9, 3)
    np.savez(tmp_path / "x.npz", sentence_bins=sums)
    on_valid = measurement(split="valid", fitted_on="valid", arrays="x.npz", bins=Bins.from_sums(sums.sum(0)))
    assert table.held_out(table.Row(on_valid, tmp_path)).ece() == pytest.approx(0.05)  # 1 of 20
    on_test = measurement(split="test", fitted_on="valid", bins=on_valid.bins)
    assert table.held_out(table.Row(on_test, tmp_path)) is on_test.bins
    assert table.held_out(table.Row(on_valid, tmp_path / "elsewhere")) is None


def test_tables_speak_of_the_beam_that_was_searched_most():
    rows = [
        table.Row(measurement(mode="beam", beam=beam, lenpen=1.0, temperature=t), None)
        for beam, t in ((5, 0.9), (5, 1.0), (50, 1.0))
    ]
    forced = table.Row(measurement(), None)
    assert table.main_search([*rows, forced]) == [*rows[:2], forced]
    assert table.main_search([forced]) == [forced]


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(RecordError, match="nowhere: no such file or folder"):
        table.load([tmp_path / "nowhere"])


def test_layout_leaves_missing_cells_empty():
    cells = [["a", table.number(None, 2), table.number(1.234, 2)], ["long name", "x", table.number(table.mean([]), 1)]]
    assert table.text(("", "one", "two"), cells).splitlines() == [
        "           one   two",
        "a               1.23",
        "long name    x",
    ]
    assert table.mean([None, 1.0, 3.0]) == 2.0
