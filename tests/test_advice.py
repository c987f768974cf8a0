"""The temperature to use: chosen on valid, gained on test."""

import numpy as np
import pytest
from conftest import ROOT

from analysis import advice, table


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


def test_what_was_not_measured_has_no_line(rows):
    assert {line[1] for line in advice.lines(table.select(rows, mode="forced"), draws=20)} == {
        "forced ECE",
        "NLL, nats",
    }
    assert advice.lines(table.select(rows, split="valid"), draws=20) == []
