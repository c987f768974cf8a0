"""Beam mode: cut into windows or not, judged once or anew, the same measurement."""

import dataclasses

import numpy as np
import pytest

from mt_ls.calibration.bins import Bins
from mt_ls.measure import __main__ as measure
from mt_ls.measure import beam as decoding
from mt_ls.measure import fairseq_model as checkpoints
from mt_ls.measure.search import FairseqSearch
from mt_ls.records.record import Measurement


@pytest.fixture(scope="module")
def model(data, checkpoint):
    return checkpoints.Checkpoint(measure._options([str(data), "--path", str(checkpoint), "--cpu", "--records", "x"]))


def _measured(model, folder, references):
    plan = Measurement(
        **model.fields,
        mode="beam",
        split="test",
        temperature=1.0,
        bins=Bins.zeros(),
        n_tokens=0,
        n_sentences=211,
        n_sentences_in_set=211,
        beam=3,
        lenpen=1.0,
    )
    search = FairseqSearch(model, 3, 1.0)
    for found, spool in decoding.measure_beam(model, search, references, plan, folder):
        record = found
        spool.save(folder / "x.npz")
    with np.load(folder / "x.npz") as arrays:
        return record, dict(arrays)


def test_windows_change_nothing_and_the_arrays_add_up(model, tmp_path, monkeypatch):
    references = decoding.References(model, "test")
    whole, arrays = _measured(model, tmp_path, references)
    assert references.verdict.cache_info().misses == 211
    monkeypatch.setattr(checkpoints, "WINDOW_SENTENCES", 50)
    cut, others = _measured(model, tmp_path, references)
    assert references.verdict.cache_info().hits == 211  # the same hypotheses: nothing is judged twice
    assert dataclasses.replace(cut, seconds=0, bins=None, bins_by_class=None, confidence=0) == dataclasses.replace(
        whole, seconds=0, bins=None, bins_by_class=None, confidence=0
    )
    np.testing.assert_allclose(cut.bins.confidence, whole.bins.confidence, atol=1e-4)
    for name, array in arrays.items():
        np.testing.assert_allclose(array, others[name], atol=1e-5, err_msg=name)
    counted = arrays["kept"] & (arrays["token"] != model.task.target_dictionary.eos())
    again = Bins.of(arrays["confidence"][counted], arrays["hit"][counted])
    assert again.ece() == pytest.approx(whole.bins.ece(), abs=1e-6)
    assert arrays["sentence_bins"].sum(0)[0].sum() == whole.bins.n == counted.sum()
    assert len(arrays["text"].tobytes().decode().splitlines()) == 211
