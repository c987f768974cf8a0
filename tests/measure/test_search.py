"""The choice of a search: a fast one where a sample of its hypotheses is that of the model's own."""

import pytest
import torch
from fake_model import FakeModel, GreedySearch

from mt_ls.measure.search import exact_search, sentences_that_differ


class _Other(GreedySearch):
    """A search that differs from the greedy one in some sentences, and counts the sentences it searched."""

    name = "other"

    def __init__(self, model, wrong=()):
        super().__init__(model)
        self.wrong = wrong
        self.n = 0

    def best(self, split, batches, temperature):
        hypotheses = super().best(split, batches, temperature)
        self.n += len(hypotheses)
        return {s: torch.tensor([1]) if s in self.wrong else ids for s, ids in hypotheses.items()}


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
