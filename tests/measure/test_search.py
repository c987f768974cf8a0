"""Searches: CTranslate2's hypotheses are fairseq's, and where they cannot be it is not used."""

import pytest
import torch

from mt_ls.measure import search
from mt_ls.measure.__main__ import _options
from mt_ls.measure.fairseq_model import Checkpoint, MeasureError


@pytest.fixture
def model(data, checkpoint):
    return Checkpoint(_options([str(data), "--path", str(checkpoint), "--cpu", "--records", "unused"]))


@pytest.mark.parametrize("temperature", [0.7, 1.0, 1.6])
def test_ctranslate2_finds_fairseqs_hypotheses(model, temperature):
    pytest.importorskip("ctranslate2")
    (window,) = model.windows("test")
    expected = search.FairseqSearch(model, 4, 1.0).best(window, temperature)
    found = search.CTranslate2Search(model, 4, 1.0).best(window, temperature)
    assert expected.keys() == found.keys() == set(range(211))
    different = [sentence for sentence in expected if not torch.equal(expected[sentence], found[sentence])]
    assert not different


def test_a_translator_leaves_torch_its_threads(model):
    """CTranslate2 sets OpenMP's threads, which are torch's: the next translator would have one, and so would torch."""
    pytest.importorskip("ctranslate2")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        (window,) = model.windows("test")
        found = search.CTranslate2Search(model, 2, 1.0)
        for temperature in (1.0, 1.2):
            found.best(window, temperature)
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_hypotheses_at_the_length_limit_are_fairseqs(model, monkeypatch):
    pytest.importorskip("ctranslate2")
    monkeypatch.setattr(search, "MAX_LENGTH", 6)  # every sentence of the grammar has eight words
    (window,) = model.windows("test")
    expected = search.FairseqSearch(model, 4, 1.0).best(window, 1.0)
    found = search.CTranslate2Search(model, 4, 1.0).best(window, 1.0)
    assert all(torch.equal(expected[sentence], found[sentence]) for sentence in range(211))


def test_it_is_chosen_only_where_a_sample_agrees(model, monkeypatch):
    pytest.importorskip("ctranslate2")
    chosen, reason = search.exact_search(model, "test", 4, 1.0, "auto")
    assert chosen.name == "ctranslate2" and reason is None
    assert search.exact_search(model, "test", 4, 1.0, "fairseq")[0].name == "fairseq"
    monkeypatch.setattr(search, "_sample_that_differs", lambda *_: [17])
    chosen, reason = search.exact_search(model, "test", 4, 1.0, "auto")
    assert chosen.name == "fairseq" and "another hypothesis for sentence 17" in reason


def test_a_model_it_does_not_know_falls_back(model, monkeypatch):
    pytest.importorskip("ctranslate2")
    model.cfg.model.arch = "fconv"
    with pytest.raises(MeasureError, match="does not know this model"):
        search.CTranslate2Search(model, 4, 1.0)
    chosen, reason = search.exact_search(model, "test", 4, 1.0, "auto")
    assert chosen.name == "fairseq" and "does not know this model" in reason
