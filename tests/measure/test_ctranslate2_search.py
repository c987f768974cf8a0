"""CTranslate2's hypotheses are those of fairseq, and where they cannot be CTranslate2 is not used."""

import pytest
import torch

from mt_ls.measure.ctranslate2_search import CTranslate2Search
from mt_ls.measure.fairseq_model import FairseqModel, FairseqSearch
from mt_ls.measure.protocol import MeasureError
from mt_ls.measure.search import exact_search

pytest.importorskip("ctranslate2")


@pytest.fixture
def model(data, checkpoint):
    return FairseqModel(checkpoint, data)


def _assert_equal_hypotheses(model, temperature):
    batches = model.batches("test", range(211))
    expected = FairseqSearch(model, 4, 1.0).best("test", batches, temperature)
    hypotheses = CTranslate2Search(model, 4, 1.0).best("test", batches, temperature)
    assert expected.keys() == hypotheses.keys() == set(range(211))
    assert [s for s in expected if not torch.equal(expected[s], hypotheses[s])] == []
    return hypotheses


@pytest.mark.parametrize("temperature", [0.7, 1.0, 1.6])
def test_hypotheses_are_those_of_fairseq(model, temperature):
    _assert_equal_hypotheses(model, temperature)


def test_hypotheses_at_the_length_limit_are_those_of_fairseq(model, monkeypatch):
    monkeypatch.setattr(model, "max_length", 6)  # every sentence of the grammar has eight words
    hypotheses = _assert_equal_hypotheses(model, 1.0)
    assert max(map(len, hypotheses.values())) == 7


def test_a_translator_leaves_torch_its_threads(model):
    """CTranslate2 sets OpenMP's threads, which torch shares."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        search = CTranslate2Search(model, 2, 1.0)
        for temperature in (1.0, 1.2):
            search.best("test", model.batches("test", range(10)), temperature)
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_it_is_chosen_for_a_fairseq_transformer(model):
    search, reason = exact_search(model, "test", 4, 1.0)
    assert search.name == "ctranslate2" and reason is None


def test_a_model_that_its_converter_does_not_know_keeps_fairseqs_search(model):
    model.cfg.model.arch = "fconv"
    with pytest.raises(MeasureError, match="CTranslate2's converter does not know this model"):
        CTranslate2Search(model, 4, 1.0)
    search, reason = exact_search(model, "test", 4, 1.0)
    assert search.name == "fairseq" and "does not know this model" in reason


def test_a_model_on_a_gpu_keeps_fairseqs_search(model):
    model.device = torch.device("cuda")
    with pytest.raises(MeasureError, match="the model runs on a GPU"):
        CTranslate2Search(model, 4, 1.0)
