"""Forced mode: the same numbers whatever is kept, however the split is cut, and as torch computes them in one go."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional

from mt_ls.calibration.bins import Bins
from mt_ls.measure import __main__ as measure
from mt_ls.measure import fairseq_model as checkpoints
from mt_ls.measure import forced
from mt_ls.records.record import Measurement


@pytest.fixture(scope="module")
def model(data, checkpoint):
    options = measure._options([str(data), "--path", str(checkpoint), "--cpu", "--records", "unused"])
    return checkpoints.Checkpoint(options)


def _measured(model, folder, temperatures=(0.8, 1.0)):
    template = Measurement(
        **model.fields,
        mode="forced",
        split="test",
        temperature=1.0,
        bins=Bins.zeros(),
        n_tokens=0,
        n_sentences=211,
        n_sentences_in_set=211,
        fitted_temperature=0.8,
    )
    planned = [dataclasses.replace(template, temperature=t) for t in temperatures]
    found = []
    for record, spool in forced.measure_forced(forced.ForcedPass(model, "test"), planned, folder):
        spool.save(folder / "x.npz")
        with np.load(folder / "x.npz") as arrays:
            found.append((record, dict(arrays)))
    return found


def test_it_is_what_torch_computes_from_all_logits(model, loaded, tmp_path):
    (network,), task, sample = loaded
    order = sample["id"].argsort()
    target = sample["target"][order]
    real = target.ne(task.target_dictionary.pad())
    with torch.no_grad():
        logits = network(**sample["net_input"])[0][order][real]
    for (record, arrays), temperature in zip(_measured(model, tmp_path), (0.8, 1.0), strict=True):
        p = (logits / temperature).softmax(-1)
        expected = Bins.of(p.amax(-1).clamp(max=1), p.argmax(-1) == target[real])
        nll = functional.cross_entropy(logits / temperature, target[real])
        assert record.nll == pytest.approx(nll.item(), rel=1e-5)
        assert record.bins.ece() == pytest.approx(expected.ece(), abs=1e-4)
        np.testing.assert_allclose(arrays["confidence"], p.amax(-1), atol=1e-5)
        np.testing.assert_array_equal(arrays["token"], target[real])
        assert arrays["sentence_bins"].shape == (211, 3, 15)
        np.testing.assert_allclose(arrays["sentence_bins"].sum(0)[0], record.bins.count)


@pytest.mark.parametrize(("window", "kept"), [(50, 2**28), (4096, 0), (7, 0)])
def test_windows_and_what_is_kept_change_nothing(model, tmp_path, monkeypatch, window, kept):
    whole = _measured(model, tmp_path)
    fitted = forced.ForcedPass(model, "valid").fit_temperature()
    monkeypatch.setattr(checkpoints, "WINDOW_SENTENCES", window)
    monkeypatch.setattr(forced, "_KEPT_BYTES", kept)
    for (record, arrays), (other, others) in zip(_measured(model, tmp_path), whole, strict=True):
        assert record.n_tokens == other.n_tokens and record.nll == pytest.approx(other.nll, rel=1e-6)
        np.testing.assert_array_equal(arrays["sentence"], others["sentence"])
        np.testing.assert_allclose(arrays["nll"], others["nll"], atol=1e-4)
    assert forced.ForcedPass(model, "valid").fit_temperature() == pytest.approx(fitted, rel=1e-4)
