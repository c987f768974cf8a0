"""The temperature to use: chosen on valid, gained on test."""

import dataclasses

import numpy as np
import pytest
from conftest import ROOT

from analysis import rows as table
from analysis.tables import advice


@pytest.fixture(scope="module")
def rows():
    return table.load([ROOT / "recipes" / "home_assistant"])


def test_gains_are_the_differences_of_the_records(rows):
    lines = {(line[0], line[1]): line for line in advice.lines(rows, draws=200)}
    assert len(lines) == 8
    forced = table.select(rows, split="test", mode="forced", alpha=0.0)
    (before,), (after,) = table.select(forced, temperature=1.0), table.at_fitted(forced)
    _, _, temperature, _, at_one, there, gain, spread = lines["home_assistant_a0.00_s1", "forced ECE"]
    assert float(temperature) == pytest.approx(after.record.temperature, abs=0.005)
    assert float(at_one) == pytest.approx(before.record.bins.ece(), abs=1e-4)
    assert float(there) == pytest.approx(after.record.bins.ece(), abs=1e-4)
    assert float(gain) == pytest.approx(before.record.bins.ece() - after.record.bins.ece(), abs=1e-4)
    low, high = map(float, spread.split(" to "))
    assert low < float(gain) < high and high - low < 0.1


def test_bleu_is_chosen_on_valid_not_on_test(rows):
    valid = table.select(rows, split="valid", mode="beam", alpha=0.1)
    best = valid[int(np.argmax([row.record.bleu["score"] for row in valid]))].record.temperature
    (line,) = [x for x in advice.lines(rows, draws=20) if x[0] == "home_assistant_a0.10_s1" and x[1] == "BLEU"]
    assert float(line[2]) == pytest.approx(best, abs=0.005)


def test_without_another_temperature_there_is_the_value_alone(rows):
    beam = table.select(rows, mode="beam", temperature=1.0, alpha=0.1, split="test")
    lines = advice.lines(beam, draws=20)
    assert [(line[1], line[2], line[4], line[6]) for line in lines] == [
        ("beam ECE", "", f"{beam[0].record.bins.ece():.4f}", ""),
        ("BLEU", "", f"{beam[0].record.bleu['score']:.2f}", ""),
    ]


def test_sentences_that_chose_the_temperature_do_not_report(rows):
    valid = [
        dataclasses.replace(row, record=dataclasses.replace(row.record, split="test", fitted_on="test"))
        for row in table.select(rows, split="valid", mode="forced", alpha=0.0)
    ]
    (line,) = [line for line in advice.lines(valid, draws=20) if line[1] == "forced ECE"]
    (scaled,) = table.at_fitted(valid)
    assert line[5] == f"{table.held_out(scaled).ece():.4f}" != f"{scaled.record.bins.ece():.4f}"


def test_what_was_not_measured_has_no_line(rows):
    assert {line[1] for line in advice.lines(table.select(rows, mode="forced"), draws=20)} == {
        "forced ECE",
        "NLL, nats",
    }
    assert advice.lines(table.select(rows, split="valid"), draws=20) == []
