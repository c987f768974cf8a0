"""The choice of a search, and CTranslate2's beside fairseq's."""

import pytest
import torch
from fake_model import FakeModel, GreedySearch

from mt_ls.measure.ctranslate2_search import CTranslate2Search
from mt_ls.measure.fairseq_model import FairseqModel
from mt_ls.measure.fairseq_search import FairseqSearch
from mt_ls.measure.protocol import MeasureError
from mt_ls.measure.search import exact_search, sentences_that_differ


class _Other(GreedySearch):
    """A search that differs from the greedy one in some sentences, and counts the sentences it searched."""

    name = "other"

    def __init__(self, model, wrong=()):
        super().__init__(model)
        self.wrong = wrong
        self.n = 0

    def best(self, split, batches, temperatures):
        for sentence, number, ids in super().best(split, batches, temperatures):
            self.n += 1
            yield sentence, number, torch.tensor([1]) if sentence in self.wrong else ids


def _with(n_sentences, wrong):
    model = FakeModel(n_sentences)
    model._fast = _Other(model, wrong)
    return model


def test_the_fast_search_is_chosen_where_its_sample_agrees():
    model = _with(31, ())
    search, reason = exact_search(model, "test", 3, 1.0)
    assert search is model._fast and reason is None and search.n == 31


def test_the_own_search_is_chosen_where_the_sample_differs():
    search, reason = exact_search(_with(31, (17, 20)), "test", 3, 1.0)
    assert search.name == "greedy" and reason == "other finds another hypothesis for sentence 17 of test"


def test_the_own_search_is_chosen_where_there_is_no_other():
    search, reason = exact_search(FakeModel(), "test", 3, 1.0)
    assert search.name == "greedy" and reason == "no fast search of a fake"


@pytest.mark.parametrize(("n_sentences", "sampled"), [(1, 1), (48, 48), (500, 50)])
def test_the_sample_is_spread_over_the_split(n_sentences, sampled):
    model = _with(n_sentences, range(n_sentences))
    different = sentences_that_differ(model, "test", model.search(3, 1.0), model._fast)
    assert model._fast.n == sampled
    assert different[0] == 0 and different[-1] >= n_sentences - 10


pytest.importorskip("ctranslate2")


@pytest.fixture
def model(data, checkpoint):
    return FairseqModel(checkpoint, data)


def _assert_equal_hypotheses(model, temperature):
    batches = model.batches("test", range(211))
    expected, hypotheses = (
        {sentence: ids for sentence, _, ids in search(model, 4, 1.0).best("test", batches, [temperature])}
        for search in (FairseqSearch, CTranslate2Search)
    )
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
            list(search.best("test", model.batches("test", range(10)), [temperature]))
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
