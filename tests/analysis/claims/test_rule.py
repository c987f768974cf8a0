"""The rule of claims, on made-up vectors."""

import numpy as np
import pytest

from analysis.claims.rule import Claim, Missing, decide


def claim(**means):
    """A claim with a part of each mean, over three seeds and 500 resamples with a standard error of 1."""
    rng = np.random.default_rng(0)
    items = rng.normal(size=501)
    items[0] = 0.0
    wobble = np.array([[-0.01], [0.0], [0.01]])
    parts = {name: mean + items[None] + wobble for name, mean in means.items()}
    return Claim(1, "words", "where", "paper", "unit", lambda evidence: parts)


@pytest.mark.parametrize(
    ("means", "verdict", "worst"),
    [
        ({"a": 5.0, "b": 3.0}, "reproduced", "b"),
        ({"a": 5.0, "b": -5.0}, "not reproduced", "b"),
        ({"a": 5.0, "b": 0.5}, "inconclusive", "b"),
        ({"a": 5.0, "b": -2.1}, "inconclusive", "b"),  # below 0 at 95 %, not at the level of two parts
        ({"b": -2.1}, "not reproduced", "b"),
    ],
)
def test_every_part_must_hold_and_one_refutes(means, verdict, worst):
    finding = decide(claim(**means), None)
    assert (finding.verdict, finding.part) == (verdict, worst)


def test_one_seed_is_inconclusive():
    vectors = np.full((1, 11), 5.0)
    finding = decide(Claim(1, "", "", "", "", lambda evidence: {"a": vectors}), None)
    assert (finding.verdict, finding.why) == ("inconclusive", "one training seed")


def test_what_is_missing_is_named():
    def parts(evidence):
        raise Missing("runs")

    finding = decide(Claim(1, "", "", "", "", parts), None)
    assert (finding.verdict, finding.why, finding.estimate) == ("not measured", "runs", None)
