"""A record with made-up numbers."""

import pytest
from msgspec.structs import replace

from mt_ls.calibration.bins import Bins
from mt_ls.records import Model, Record
from mt_ls.smoothing.kinds import Smoothing

BASE = Record(
    run="toy_a0.1_s1",
    model=Model(corpus="toy", architecture="micro", smoothing=Smoothing("uniform", 0.1), checkpoint="last"),
    seed=1,
    mode="forced",
    split="test",
    temperature=1.0,
    bins=Bins.of([0.2, 0.9], [0, 1]),
    n_tokens=2,
    n_sentences=1,
    n_sentences_in_set=1,
    nll=1.5,
    sha={"data": "d" * 64, "checkpoint": "c" * 64, "code": "e" * 40},
    versions={"mt_ls": "0.1.0"},
)


@pytest.fixture
def record():
    """``record(**changes)``: a record of one model, with any fields changed."""

    def build(**changes):
        return replace(BASE, **changes)

    return build
