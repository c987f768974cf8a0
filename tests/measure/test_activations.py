"""Mode "activations" on a model in memory: hidden states before three tokens, and their templates."""

import numpy as np
import pytest
import torch
from fake_model import WORDS, FakeModel
from msgspec.structs import replace

from mt_ls.calibration.geometry import geometry
from mt_ls.measure import activations, windows
from mt_ls.measure.activations import measure_activations
from mt_ls.measure.plan import blank_record
from mt_ls.measure.protocol import MeasureError
from mt_ls.records import read

ARTICLES = ("das", "der", "die")


def _measured(model, folder, pieces=ARTICLES):
    planned = replace(blank_record(model, "test"), mode="activations")
    measure_activations(model, planned, pieces, folder / "records.jsonl")
    return read(folder / "records.jsonl")[-1]


def _occurrences(model, limit):
    """(states, place of the token among `ARTICLES`, hit) of the first occurrences of each, in their order."""
    rows = []
    for piece in ARTICLES:
        places = []
        for sentence, ids in enumerate(model.targets["test"]):
            states = model.states("test", sentence, ids)
            places += [states[i] for i, token in enumerate(ids) if WORDS[token] == piece]
        rows += [(state, ARTICLES.index(piece)) for state in places[:limit]]
    states, labels = torch.stack([state for state, _ in rows]), torch.tensor([label for _, label in rows])
    best = (states @ model.weight.t()).argmax(-1)
    return states, labels, best == torch.tensor([WORDS.index(piece) for piece in ARTICLES])[labels]


@pytest.mark.parametrize(("limit", "window"), [(500, 4096), (4, 4096), (4, 5)])
def test_states_are_those_before_the_first_occurrences(tmp_path, monkeypatch, limit, window):
    monkeypatch.setattr(activations, "N_TOKENS", limit)
    monkeypatch.setattr(windows, "WINDOW_SENTENCES", window)
    model = FakeModel()
    record = _measured(model, tmp_path)
    states, labels, hit = _occurrences(model, limit)
    templates = model.weight[[WORDS.index(piece) for piece in ARTICLES]].double()
    assert record.mode == "activations" and record.items is None and record.temperature == 1
    assert record.n_tokens == record.bins.n == len(states)
    assert record.accuracy == pytest.approx(hit.double().mean().item())
    expected = geometry(states.double(), labels, templates)
    assert {name: record.geometry[name] for name in expected} == pytest.approx(expected, rel=1e-4)
    (plane,) = record.geometry["planes"]
    assert plane["classes"] == list(ARTICLES)
    points = np.array(plane["points"])
    np.testing.assert_array_equal(points[:, 2], labels)
    basis, _ = np.linalg.qr((templates[:2] - templates[2]).numpy().T)
    np.testing.assert_allclose(points[:, :2], (states - templates.mean(dim=0)).numpy() @ basis, atol=1e-5)


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [
        (("der", "die", "xyz"), "--pieces: 'xyz' is not in the target vocabulary"),
        (("der", "die", "Hund"), "--pieces: 'Hund' occurs 1 times in test: choose frequent tokens"),
        (("der", "die", "die"), "three templates on a line span no plane"),
    ],
)
def test_tokens_without_a_plane_are_refused(tmp_path, pieces, reason):
    model = FakeModel()
    hund, rot = WORDS.index("Hund"), WORDS.index("rot")
    for ids in model.targets["test"]:
        ids[:] = [rot if token == hund else token for token in ids]
    model.targets["test"][4][0] = hund
    with pytest.raises((MeasureError, ValueError), match=reason):
        _measured(model, tmp_path, pieces)
    assert list(tmp_path.iterdir()) == []


def test_a_model_without_a_projection_is_refused(tmp_path):
    with pytest.raises(MeasureError, match="activations need a model whose last step is one matrix"):
        _measured(FakeModel(projects=False), tmp_path)
