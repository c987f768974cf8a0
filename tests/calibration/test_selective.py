"""Risk and coverage against a count over all orders, and scores of confidence against their formulas in float64."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mt_ls.calibration import selective
from mt_ls.calibration.confidence import TokenScores, image_scores, max_logit_norms, scores, token_scores
from mt_ls.calibration.selective import POWERS, SCORES, aurc, normalised_aurc, risk_coverage

ITEMS = st.lists(st.tuples(st.integers(0, 2), st.floats(0, 1)), min_size=1, max_size=6)


def by_all_orders(items):
    """The mean over all orders of equal scores of the mean of the risks of the first 1 to N items."""
    areas = []
    for order in itertools.permutations(items):
        if all(one[0] >= other[0] for one, other in itertools.pairwise(order)):
            risks = np.array([risk for _, risk in order])
            areas.append((np.cumsum(risks) / np.arange(1, len(risks) + 1)).mean())
    return np.mean(areas)


@given(ITEMS)
def test_the_area_is_the_mean_over_the_orders_of_equal_scores(items):
    score, risk = (np.array(column, dtype=float) for column in zip(*items, strict=True))
    area = aurc(score, risk)
    assert area.shape == (1,) and area[0] == pytest.approx(by_all_orders(items), abs=1e-9)
    coverage, risks = risk_coverage(score, risk)
    assert coverage[-1] == 1 and risks[-1] == pytest.approx(risk.mean())
    assert risks.mean() == pytest.approx(area[0], abs=1e-9)


@given(ITEMS, st.integers(1, 3))
def test_a_weight_is_so_many_copies(items, times):
    score, risk = (np.array(column, dtype=float) for column in zip(*items, strict=True))
    weights = np.arange(len(items)) % 2 * (times - 1) + 1
    copies = np.repeat(score, weights), np.repeat(risk, weights)
    assert aurc(score, risk, weights[None])[0] == pytest.approx(aurc(*copies)[0], abs=1e-9)
    absent = np.zeros(len(items))
    absent[0] = 1
    assert aurc(score, risk, np.stack([weights, absent]))[1] == pytest.approx(risk[0])


def test_many_groups_are_summed_in_blocks_of_weights_with_the_same_result(monkeypatch):
    rng = np.random.default_rng(1)
    score, risk, weights = rng.integers(0, 5, 90), rng.random(90), rng.integers(0, 4, (7, 90))
    areas = aurc(score, risk, weights)
    monkeypatch.setattr(selective, "_FEW_GROUPS", 4)
    monkeypatch.setattr(selective, "_CACHED", 200)
    np.testing.assert_allclose(aurc(score, risk, weights), areas, rtol=1e-12)


def test_the_normalised_area_is_0_for_the_best_order_and_1_for_none():
    risk = np.random.default_rng(1).random(200)
    assert normalised_aurc(-risk, risk)[0] == pytest.approx(0, abs=1e-12)
    assert normalised_aurc(np.zeros(200), risk)[0] == pytest.approx(1)
    assert normalised_aurc(risk, risk)[0] > 1
    assert np.isnan(normalised_aurc(risk, np.ones(200))[0])
    with pytest.raises(ValueError, match="no item"):
        aurc(np.zeros(0), np.zeros(0))


def test_the_norms_are_those_of_the_formula_and_no_temperature_changes_them():
    logits = torch.randn(50, 33, generator=torch.Generator().manual_seed(1)) * 4 + 7
    centred = (logits.double() - logits.double().mean(-1, keepdim=True)).numpy()
    expected = [centred.max(-1) / np.linalg.norm(centred, p, axis=-1) for p in POWERS]
    np.testing.assert_allclose(max_logit_norms(logits), expected, rtol=1e-5)
    np.testing.assert_allclose(max_logit_norms(logits / 3), expected, rtol=1e-5)


def test_the_scores_of_tokens_of_a_sentence_and_of_an_image():
    logits = torch.randn(5, 9, generator=torch.Generator().manual_seed(2)) * 3
    chosen = torch.tensor([0, 3, 8, 1, 1])
    p = (logits.double() / 1.7).softmax(-1).numpy()
    tokens = token_scores(logits, chosen, 1.7)
    np.testing.assert_allclose(tokens.probability, p[range(5), chosen], rtol=1e-5)
    np.testing.assert_allclose(tokens.entropy, -(p * np.log(p)).sum(-1), rtol=1e-5)
    of_sentence = scores(tokens)
    assert len(of_sentence) == len(SCORES)
    norms = max_logit_norms(logits).mean(-1)
    expected = [np.log(p[range(5), chosen]).mean(), p[range(5), chosen].min(), (p * np.log(p)).sum(-1).mean(), *norms]
    np.testing.assert_allclose(of_sentence, expected, rtol=1e-5)
    of_images = image_scores(logits, 1.7)
    np.testing.assert_allclose(of_images[:, 0], np.log(p.max(-1)), rtol=1e-5)
    np.testing.assert_allclose(of_images[:, 3:], max_logit_norms(logits).t(), rtol=1e-5)


def test_a_probability_of_0_leaves_finite_scores():
    tokens = TokenScores(torch.tensor([0.0, 1.0]), torch.zeros(2), torch.ones(4, 2))
    assert torch.isfinite(scores(tokens)).all()
    logits = torch.tensor([[0.0, 300.0, -300.0]])
    assert all(torch.isfinite(column).all() for column in token_scores(logits, torch.tensor([2])))
