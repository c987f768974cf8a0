"""Forced mode and activations against a brute force."""

import numpy as np
import pytest
import torch
from fake_model import EOS, WORDS, FakeModel, all_logits
from msgspec.structs import replace
from pyarrow import parquet
from torch.nn import functional

from mt_ls.calibration.bins import Bins
from mt_ls.calibration.geometry import geometry
from mt_ls.measure import activations, forced, windows
from mt_ls.measure.activations import measure_activations
from mt_ls.measure.forced import ForcedPass, measure_forced
from mt_ls.measure.plan import blank_record
from mt_ls.measure.protocol import ForcedTokens, MeasureError
from mt_ls.records import read
from mt_ls.records.items import read_items

TEMPERATURES = (0.5, 0.8, 1.0)


def _measured(model, folder, temperatures=TEMPERATURES):
    """The records, by temperature; 0.8 is the fitted one."""
    blank = replace(blank_record(model, "test"), fitted_temperature=0.8, fitted_on="valid")
    planned = [replace(blank, temperature=t) for t in temperatures]
    path = folder / "records.jsonl"
    measure_forced(ForcedPass(model, "test"), planned, path)
    return {record.temperature: record for record in read(path)}


def _columns(folder, record):
    """The columns of a record's items; values of tokens are concatenated, with the "lengths" of their items."""
    columns = parquet.read_table(folder / record.items).to_pydict()
    flat = {name: np.concatenate(column) for name, column in columns.items() if name.startswith("token")}
    lengths = [len(tokens) for tokens in columns.get("token", [])]
    return {**flat, "lengths": lengths, "columns": set(columns)}


@pytest.mark.parametrize("projects", [True, False])
def test_records_have_the_numbers_of_all_logits(tmp_path, projects):
    model = FakeModel(projects=projects)
    logits, target, sentence = all_logits(model, "test")
    records = _measured(model, tmp_path)
    assert set(records) == set(TEMPERATURES)
    for temperature, record in records.items():
        p = (logits / temperature).softmax(-1)
        nll = functional.cross_entropy(logits / temperature, target, reduction="none")
        hit = p.argmax(-1) == target
        bins = Bins.of(p.amax(-1), hit)
        brier = (p - functional.one_hot(target, p.size(1))).square().sum(-1)
        assert record.n_tokens == len(target) and record.n_sentences == record.n_sentences_in_set == 31
        assert record.nll == pytest.approx(nll.mean().item(), rel=1e-5)
        assert record.perplexity == pytest.approx(np.exp(record.nll))
        assert record.brier == pytest.approx(brier.mean().item(), rel=1e-4)
        assert record.accuracy == pytest.approx(hit.double().mean().item())
        np.testing.assert_array_equal(record.bins.count, bins.count)
        np.testing.assert_array_equal(record.bins.hits, bins.hits)
        np.testing.assert_allclose(record.bins.confidence, bins.confidence, rtol=1e-5)
        _has_the_other_bins(record, p, target, hit)
        items = read_items(tmp_path, record)
        np.testing.assert_array_equal(items.n, np.bincount(sentence))
        np.testing.assert_allclose(items.nll, np.bincount(sentence, nll), rtol=1e-5)
        np.testing.assert_allclose(items.bins.sum(0)[0], bins.count)
        one = sentence == 3
        expected = Bins.of(p.amax(-1)[one], hit[one])
        np.testing.assert_allclose(items.bins[3], [expected.count, expected.confidence, expected.hits], rtol=1e-5)


def _has_the_other_bins(record, p, target, hit):
    """Bins by class of the prediction, not of the target, and those of the probabilities of all classes."""
    is_eos = p.argmax(-1) == EOS
    assert is_eos.any() and (is_eos != (target == EOS)).any()
    for name, chosen in (("others", ~is_eos), ("eos", is_eos)):
        expected = Bins.of(p.amax(-1)[chosen], hit[chosen])
        np.testing.assert_array_equal(record.bins_by_class[name].count, expected.count)
        np.testing.assert_array_equal(record.bins_by_class[name].hits, expected.hits)
        np.testing.assert_allclose(record.bins_by_class[name].confidence, expected.confidence, rtol=1e-5)
    every, is_target = p.flatten().double().numpy(), functional.one_hot(target, p.size(1)).flatten().numpy()
    place = np.minimum((every * 15).astype(int), 14)
    for sums, values in zip(("count", "confidence", "hits"), (every, every**2, every * is_target), strict=True):
        expected = np.bincount(place, values, minlength=15)
        np.testing.assert_allclose(getattr(record.bins_full, sums), expected, atol=1e-4)


def test_items_have_tokens_at_1_and_at_the_fitted_temperature_only(tmp_path):
    model = FakeModel()
    logits, target, sentence = all_logits(model, "test")
    records = _measured(model, tmp_path)
    assert not any(name.startswith("token") for name in _columns(tmp_path, records[0.5])["columns"])
    for temperature in (0.8, 1.0):
        columns = _columns(tmp_path, records[temperature])
        p = (logits / temperature).softmax(-1)
        np.testing.assert_array_equal(columns["token"], target)
        np.testing.assert_array_equal(columns["lengths"], np.bincount(sentence))
        np.testing.assert_array_equal(columns["token_hit"], p.argmax(-1) == target)
        np.testing.assert_allclose(columns["token_confidence"], p.amax(-1), rtol=1e-5)
        np.testing.assert_allclose(columns["token_nll"], -p.log().gather(-1, target.unsqueeze(-1))[:, 0], rtol=1e-4)
        assert "token_kept" not in columns["columns"]


@pytest.mark.parametrize(("window", "kept"), [(10, 2**28), (4096, 0), (7, 0), (1, 2**28)])
def test_windows_and_what_is_kept_change_nothing(tmp_path, monkeypatch, window, kept):
    model = FakeModel()
    whole = _measured(model, tmp_path / "whole")
    fitted = ForcedPass(model, "valid").fit_temperature()
    monkeypatch.setattr(windows, "WINDOW_SENTENCES", window)
    monkeypatch.setattr(forced, "_KEPT_BYTES", kept)
    for temperature, record in _measured(model, tmp_path / "cut").items():
        assert record.nll == pytest.approx(whole[temperature].nll, rel=1e-6)
        np.testing.assert_array_equal(record.bins.count, whole[temperature].bins.count)
        np.testing.assert_allclose(record.bins_full.count, whole[temperature].bins_full.count, atol=1e-5)
        items, others = (
            read_items(tmp_path / folder, r) for folder, r in (("cut", record), ("whole", whole[temperature]))
        )
        np.testing.assert_allclose(items.nll, others.nll, rtol=1e-6)
        np.testing.assert_allclose(items.bins, others.bins, rtol=1e-6)
    assert ForcedPass(model, "valid").fit_temperature() == pytest.approx(fitted, rel=1e-4)


@pytest.mark.parametrize(("kept", "passes"), [(2**28, 1), (0, 2)])
def test_a_pass_after_a_fit_computes_nothing_again_if_its_predictions_are_small(tmp_path, monkeypatch, kept, passes):
    monkeypatch.setattr(forced, "_KEPT_BYTES", kept)
    model = FakeModel()
    forced_pass = ForcedPass(model, "test")
    list(forced_pass.windows(keep=True))
    once = model.n_forward
    measure_forced(forced_pass, [blank_record(model, "test")], tmp_path / "records.jsonl")
    assert model.n_forward == passes * once


def test_the_temperature_is_fitted_on_even_sentences_alone():
    model = FakeModel()
    fitted = ForcedPass(model, "valid").fit_temperature()
    model.source["valid"][1::2] *= 7
    assert ForcedPass(model, "valid").fit_temperature() == fitted
    model.source["valid"][0::2] *= 7
    assert ForcedPass(model, "valid").fit_temperature() > 1.2 * fitted


def test_a_sentence_without_predictions_is_an_error_and_leaves_no_file(tmp_path):
    model = FakeModel()
    complete = model.forced
    model.forced = lambda split, sentences: ForcedTokens(
        *(column[complete(split, sentences).sentence != 5] for column in complete(split, sentences))
    )
    with pytest.raises(MeasureError, match="of sentences 0 to 30 30 were measured, and not all 31"):
        measure_forced(ForcedPass(model, "test"), [blank_record(model, "test")], tmp_path / "records.jsonl")
    assert list(tmp_path.iterdir()) == []


ARTICLES = ("das", "der", "die")


def _activations(model, folder, pieces=ARTICLES):
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
    record = _activations(model, tmp_path)
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
        _activations(model, tmp_path, pieces)
    assert list(tmp_path.iterdir()) == []


def test_a_model_without_a_projection_is_refused(tmp_path):
    with pytest.raises(MeasureError, match="activations need a model whose last step is one matrix"):
        _activations(FakeModel(projects=False), tmp_path)
