"""Tables from records."""

import numpy as np
import pytest
from builders import measurement, write_records

from analysis import rows as table
from analysis.tables import quality


def test_token_classes_stand_apart(tmp_path):
    write_records(tmp_path / "runs")
    cells = quality.class_table(table.load([tmp_path / "runs"]))
    assert [row[0] for row in cells[:3]] == ["alpha 0, others", "alpha 0, eos", "alpha 0, shifted (left out)"]
    assert cells[1][1:5] == ["2", "0.800", "0.500", "0.4000"] and cells[2][1] == "7"  # |0.9 - 1| and |0.7 - 0|, halved


def test_table_3_has_the_papers_row(tmp_path):
    write_records(tmp_path / "runs")
    rows = table.load([tmp_path / "runs"])
    cells = quality.table_3(rows)
    assert cells[0][1:] == ["0.056", "0.018 / 1.13", "0.019 / 0.1"]
    assert [row[0] for row in cells[1:]] == ["ours, toy, valid", "ours, toy, test"]
    assert cells[1][2].endswith("/ 1.20")


def test_main_table_gives_each_model_at_one_and_at_its_fitted_temperature(tmp_path):
    write_records(tmp_path / "runs")
    rows = table.load([tmp_path / "runs"])
    cells = quality.main_table(rows)
    assert [row[0] for row in cells] == ["alpha 0", "alpha 0", "alpha 0.1", "alpha 0.1"]
    assert [row[1] for row in cells] == ["1", "1.20"] * 2
    record = table.select(rows, alpha=0.1, split="test", mode="forced", temperature=1.0)[0].record
    named = dict(zip(quality.MAIN_HEADER, cells[2], strict=True))
    assert named["forced ECE"] == f"{record.bins.ece():.4f}" and named["BLEU"] == "21.0"
    floor, _ = record.bins.noise_floor(np.random.default_rng(0), draws=2000)
    assert float(named["floor"]) == pytest.approx(floor, rel=0.1)


def test_beams_of_several_widths_stand_side_by_side():
    rows = [
        table.Row(
            measurement(
                mode="beam",
                split="test",
                beam=beam,
                lenpen=1.0,
                seed=seed,
                length_ratio=length,
                bleu={"score": score, "signature": "x"},
            ),
            None,
        )
        for beam, seed, score, length in ((5, 1, 20.0, 1.0), (5, 2, 22.0, 0.98), (50, 1, 19.0, 0.9))
    ]
    assert quality.beams(rows) == [
        ["alpha 0.1", "5", "1", "2", "21.0", "0.990"],
        ["alpha 0.1", "50", "1", "1", "19.0", "0.900"],
    ]
    assert quality.beams(rows[:2]) == []  # one search only
