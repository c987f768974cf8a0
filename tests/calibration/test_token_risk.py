"""Areas of tokens from counts of levels, against those of the tokens themselves."""

import numpy as np
import pytest
import torch

from mt_ls.calibration.confidence import token_scores
from mt_ls.calibration.selective import TOKEN_SCORES, normalised_aurc
from mt_ls.calibration.token_risk import TokenRisk, uncertainties, uncertainty_of


def test_the_areas_are_those_of_the_tokens():
    rng = torch.Generator().manual_seed(1)
    logits = torch.randn(4000, 50, generator=rng) * torch.rand(4000, 1, generator=rng) * 12
    tokens = token_scores(logits, logits.argmax(dim=-1))
    hit = torch.rand(4000, generator=rng) < tokens.probability
    risk = TokenRisk()
    for part in (slice(0, 1), slice(1, 2500), slice(2500, None)):
        own = {name: values[part] for name, values in uncertainties(tokens).items()}
        risk.add(own, hit[part])
    areas = risk.normalised_areas()
    assert list(areas) == list(TOKEN_SCORES)
    scores = (tokens.probability, -tokens.entropy, *tokens.max_logit)
    for name, score in zip(TOKEN_SCORES, scores, strict=True):
        expected = normalised_aurc(score.double().numpy(), 1.0 - hit.numpy())[0]
        assert areas[name] == pytest.approx(expected, abs=2e-3)
    assert 0 < areas["probability"] < 0.6


def test_the_best_order_has_area_0_and_equal_tokens_have_1():
    hit = torch.tensor([True, True, False, True])
    for probability, area in (([0.9, 0.8, 0.1, 0.99], 0.0), ([0.5] * 4, 1.0), ([0.0, 0.1, 1.0, 0.05], 2.0)):
        risk = TokenRisk()
        risk.add({"probability": uncertainty_of(torch.tensor(probability))}, hit)
        found = risk.normalised_areas()["probability"]
        assert found == pytest.approx(area) if area < 2 else found > 1


@pytest.mark.parametrize("hit", [True, False])
def test_without_right_and_wrong_tokens_there_is_no_area(hit):
    risk = TokenRisk()
    assert risk.normalised_areas() is None
    risk.add({"probability": torch.rand(5)}, torch.full((5,), hit))
    assert risk.normalised_areas() is None


def test_levels_are_finite_for_any_value():
    risk = TokenRisk()
    values = torch.tensor([0.0, 1e-30, 1e30, float("inf")])
    risk.add({"entropy": values}, torch.tensor([True, True, False, False]))
    assert risk.normalised_areas() == {"entropy": pytest.approx(0.0)}
    assert np.isfinite(uncertainty_of(torch.tensor([0.0, 1.0]))).all()
