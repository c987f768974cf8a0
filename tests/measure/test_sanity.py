"""A model's NLL compared with that of a uniform guess."""

import math

import pytest
import torch
from fake_model import WORDS, FakeModel, all_logits

from mt_ls.measure import sanity
from mt_ls.measure.protocol import MeasureError


@pytest.mark.parametrize("projects", [True, False])
def test_the_nll_of_a_sample_of_all_is_that_of_the_split(projects):
    logits, target, _ = all_logits(FakeModel(), "test")
    nll = torch.nn.functional.cross_entropy(logits, target).item()
    assert sanity._sample_nll(FakeModel(projects=projects), "test") == pytest.approx(nll, rel=1e-5)


def test_a_sample_of_a_long_split_is_of_32_sentences(monkeypatch):
    model = FakeModel(n_sentences=200)
    seen = []
    forced = model.forced
    monkeypatch.setattr(model, "forced", lambda split, sentences: seen.extend(sentences) or forced(split, sentences))
    sanity._sample_nll(model, "test")
    assert sorted(seen) == [200 * i // 32 for i in range(32)]


def test_predictions_of_other_targets_are_refused():
    model = FakeModel()
    model.projection = -9 * model.weight
    with pytest.raises(MeasureError, match=r"^NLL of \d+\.\d\d nats a token on test is above the ln V = 1\.95 of a un"):
        sanity.check_sample(model, "test")
    model.projection = model.weight * math.nan
    with pytest.raises(MeasureError, match="its NLL on test is not finite, as after a training that diverged"):
        sanity.check_sample(model, "test")


def test_a_uniform_guess_is_no_error():
    assert sanity.above_uniform(math.log(len(WORDS)), len(WORDS), "test") is None
    assert sanity.above_uniform(math.log(len(WORDS)) + 0.01, len(WORDS), "test").startswith("NLL of 1.96 nats")
