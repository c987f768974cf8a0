"""The plane through three templates, and the geometry of activations where it is known."""

import itertools
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from mt_ls.calibration.geometry import (
    N_EACH,
    class_separation,
    geometry,
    logit_spread,
    on_plane,
    plane_through,
    triangle,
    triangles,
)


def test_the_plane_holds_the_three_templates_and_keeps_their_distances():
    templates = torch.randn(3, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    plane = plane_through(templates)
    flat = plane.project(templates)
    torch.testing.assert_close(torch.cdist(flat, flat), torch.cdist(templates, templates))
    torch.testing.assert_close(flat.mean(dim=0), torch.zeros(2, dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(plane.origin + flat @ plane.basis.t(), templates)
    torch.testing.assert_close(plane.basis.t() @ plane.basis, torch.eye(2, dtype=torch.float64))


def test_three_templates_on_a_line_span_no_plane():
    with pytest.raises(ValueError, match="three classes, not 2"):
        plane_through(torch.eye(2))
    with pytest.raises(ValueError, match="on a line"):
        plane_through(torch.tensor([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]))


def _simplex(k, scale=3.0):
    return scale * (torch.eye(k, dtype=torch.float64) - 1 / k)


def test_collapsed_activations_on_a_simplex_have_nothing_within_and_equal_angles():
    labels = torch.arange(40) % 4
    numbers = geometry(_simplex(4)[labels], labels, _simplex(4))
    assert numbers.pop("variance_between") == pytest.approx(9 * (1 - 1 / 4))
    assert numbers.pop("class_separation") == pytest.approx(1)
    assert len(numbers) == 10
    for name, value in numbers.items():
        assert value == pytest.approx(0, abs=1e-6), name


def test_spread_about_the_templates_is_what_it_was_made_of():
    """A round cloud of deviation s in 3 dimensions: variance 3 s^2 within, mean distance s sqrt(8 / pi)."""
    rng = torch.Generator().manual_seed(1)
    templates = torch.tensor([[10.0, 0, 0], [0, 10.0, 0], [0, 0, 10.0]], dtype=torch.float64)
    labels = torch.arange(30_000) % 3
    noise = 0.5 * torch.randn(30_000, 3, generator=rng, dtype=torch.float64)
    numbers = geometry(templates[labels] + noise, labels, templates)
    assert numbers["variance_within"] == pytest.approx(3 * 0.25, rel=0.02)
    assert numbers["distance_to_own"] == pytest.approx(math.sqrt(8 / math.pi) * 0.5, rel=0.02)
    assert 0 < numbers["nc1"] < 0.05 and numbers["spread_of_others"] > 0


def test_separation_of_orthogonal_classes_is_that_of_their_angles():
    """Two directions at +-0.4 rad of an axis in a plane of each class's own: their mean cosine distance is sin^2."""
    angle, k = 0.4, 5
    points = torch.zeros(2 * k, 2 * k, dtype=torch.float64)
    for c in range(k):
        for row, sign in ((2 * c, 1), (2 * c + 1, -1)):
            points[row, 2 * c : 2 * c + 2] = torch.tensor([math.cos(angle), sign * math.sin(angle)])
    labels = torch.arange(2 * k) // 2
    within, between = math.sin(angle) ** 2, 1.0
    total = (within + (k - 1) * between) / k
    assert class_separation(points * torch.rand(2 * k, 1), labels) == pytest.approx(1 - within / total)
    assert class_separation(points, torch.arange(2 * k) % 2) < 0.5 * class_separation(points, labels)


def test_wrong_logits_spread_beside_the_right_one():
    """Of 0, 2, 4 the deviation is 2 and the mean 2. The median is of three; one that is infinite counts as greatest."""
    logits = torch.tensor([[7.0, 0, 2, 4], [2, 10, 4, 0], [0, 2, 4, 2]], dtype=torch.float64)
    labels = torch.tensor([0, 1, 3])
    assert [logit_spread(logits[i : i + 1], labels[i : i + 1]) for i in range(3)] == [2 / 5, 2 / 8, math.inf]
    assert logit_spread(logits, labels) == 2 / 5
    points, templates = logits[[2, 2, 0]], torch.eye(4, dtype=torch.float64)
    assert "spread_of_wrong_logits" not in geometry(points + torch.eye(4)[:3], labels[[2, 2, 0]], templates)


def test_a_triangle_of_known_sides():
    """Sides of 3, 4 and 5 have deviation 1 and mean 4. Off the plane of the templates a mean keeps its projection."""
    templates = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]], dtype=torch.float64)
    means = torch.tensor([[0.0, 0, 7], [3, 0, 0], [0, 4, 0]], dtype=torch.float64)
    sides = np.array([math.sqrt(58), 5, math.sqrt(65)]), np.array([1, math.sqrt(2), 1])
    expected = [1 / 4, *(of.std(ddof=1) / of.mean() for of in sides)]
    names = ["triangle_projected", "triangle_means", "triangle_templates"]
    numbers = triangles(means, templates)
    assert [numbers[name] for name in names] == pytest.approx(expected)
    points = means.repeat(2, 1) + 0.5 * torch.tensor([-1.0, 1]).repeat_interleave(3)[:, None]
    drawn = triangle(points, torch.tensor([3, 0, 2] * 2), templates[[1, 1, 2, 0]], (3, 0, 2))
    assert drawn == pytest.approx(numbers)


def test_three_classes_have_one_triangle():
    """As the three tokens of a translation model, whose projection has no biases."""
    points, labels, templates = _activations(1, n_classes=3)
    numbers = geometry(points, labels, templates)
    drawn = triangle(points, labels, templates, (2, 0, 1))
    assert {name: numbers[name] for name in drawn} == pytest.approx(drawn) and len(drawn) == 3
    flat = plane_through(templates).project(torch.stack([points[labels == c].mean(dim=0) for c in range(3)]))
    sides = torch.pdist(flat)
    assert drawn["triangle_projected"] == pytest.approx((sides.std() / sides.mean()).item())


def test_two_classes_have_no_triangle():
    numbers = geometry(torch.randn(20, 3).double(), torch.arange(20) % 2, torch.eye(3).double())
    assert "nc1" in numbers and not any("triangle" in name for name in numbers)


def _activations(seed, n_classes=5, n_dims=6):
    """Points about the templates of their labels, labels of classes of unequal sizes, and templates."""
    rng = torch.Generator().manual_seed(seed)
    templates = torch.randn(n_classes, n_dims, generator=rng, dtype=torch.float64)
    of_all = torch.arange(2 * n_classes) % n_classes
    labels = torch.cat([of_all, (torch.rand(40, generator=rng).square() * n_classes).long()])
    noise = torch.randn(len(labels), n_dims, generator=rng, dtype=torch.float64)
    return templates[labels] + noise, labels, templates


def _by_hand(points, labels, templates, biases):
    """The scale-free numbers by numpy: pair by pair, triple by triple, activation by activation."""
    classes = np.unique(labels)
    means = np.stack([points[labels == c].mean(0) for c in classes])
    of_pairs = {
        (a, b): cdist(points[labels == a], points[labels == b], "cosine").mean() for a in classes for b in classes
    }
    within, total = np.mean([of_pairs[c, c] for c in classes]), np.mean(list(of_pairs.values()))
    spreads = []
    for point, label in zip(points, labels, strict=True):
        logits = templates @ point + biases
        wrong = np.delete(logits, label)
        gap = logits[label] - wrong.mean()
        spreads.append(wrong.std(ddof=1) / gap if gap > 0 else np.inf)
    ends = np.column_stack([templates, biases])
    irregularities = []
    for a, b, c in itertools.combinations(range(len(classes)), 3):
        corners = np.column_stack([means, np.ones(len(means))])[[a, b, c]]
        across = ends[[a, b]] - ends[c]
        flat = [across.T @ np.linalg.lstsq(across.T, corner, rcond=None)[0] for corner in corners]
        sides = [
            [math.dist(*pair) for pair in itertools.combinations(of, 2)] for of in (flat, corners, ends[[a, b, c]])
        ]
        irregularities.append(np.std(sides, axis=1, ddof=1) / np.mean(sides, axis=1))
    projected, of_means, of_templates = np.mean(irregularities, axis=0)
    return {
        "class_separation": 1 - within / total,
        "spread_of_wrong_logits": np.sort(spreads)[(len(spreads) - 1) // 2],
        "triangle_projected": projected,
        "triangle_means": of_means,
        "triangle_templates": of_templates,
    }


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("biased", [False, True])
def test_the_scale_free_numbers_are_those_of_numpy(seed, biased):
    points, labels, templates = _activations(seed)
    biases = torch.linspace(-1, 1, len(templates)).double() * biased
    ends = torch.cat([templates, biases[:, None]], dim=1) if biased else templates
    expected = _by_hand(*(values.numpy() for values in (points, labels, templates, biases)))
    numbers = geometry(points, labels, ends)
    assert {name: numbers[name] for name in expected} == pytest.approx(expected)


SCALED = {"variance_within": 2, "variance_between": 2, "distance_to_own": None, "spread_of_others": None}
"""The powers of the activations' scale in their numbers; None: the templates have a scale of their own."""


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.floats(1e-3, 1e3))
def test_the_scale_of_activations_leaves_the_scale_free_numbers(seed, scale):
    points, labels, templates = _activations(seed)
    numbers, of_scaled = geometry(points, labels, templates), geometry(scale * points, labels, templates)
    assert numbers.keys() == of_scaled.keys() >= SCALED.keys()
    for name, value in numbers.items():
        power = SCALED.get(name, 0)
        if power is not None:
            assert of_scaled[name] == pytest.approx(value * scale**power, rel=1e-6), name


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.floats(0.1, 10))
def test_a_scale_of_logits_and_a_rotation_leave_all_that_is_relative(seed, scale):
    """Weights and biases are scaled together, and activations are rotated with the weights."""
    points, labels, templates = _activations(seed)
    biases = torch.linspace(-1, 1, len(templates)).double()[:, None]
    rotation = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(seed)).double()).Q
    numbers = geometry(points, labels, torch.cat([templates, biases], dim=1))
    turned = geometry(points @ rotation, labels, scale * torch.cat([templates @ rotation, biases], dim=1))
    for name in numbers.keys() - {"distance_to_own", "spread_of_others"}:
        assert turned[name] == pytest.approx(numbers[name], rel=1e-6), name


def test_points_of_a_plane_are_those_of_its_three_classes():
    """Classes 3, 0 and 4 of five: their first points, class after class, at their distances on the plane."""
    rng = torch.Generator().manual_seed(2)
    templates = torch.randn(5, 7, generator=rng, dtype=torch.float64)
    points = torch.randn(900, 7, generator=rng, dtype=torch.float64)
    labels = torch.arange(900) % 5
    classes = [3, 0, 4]
    drawn = on_plane(points, labels, templates, classes)
    rows = drawn["points"]
    assert [rank for _, _, rank in rows] == [rank for rank in range(3) for _ in range(N_EACH)]
    chosen = torch.cat([points[labels == label][:N_EACH] for label in classes])
    expected = plane_through(templates[classes]).project(chosen).float()
    assert torch.equal(torch.tensor([row[:2] for row in rows]), expected)
    assert json.loads(json.dumps(drawn)) == drawn
    corners = plane_through(templates[classes]).project(templates[classes])
    torch.testing.assert_close(torch.tensor(drawn["templates"], dtype=torch.float64), corners, rtol=1e-6, atol=1e-7)
    sides = torch.pdist(torch.tensor(drawn["templates"]))  # the plane holds the templates, so no side is shorter on it
    torch.testing.assert_close(sides.double(), torch.pdist(templates[classes]), rtol=1e-5, atol=1e-6)


def test_a_class_with_few_points_has_them_all():
    labels = torch.tensor([0, 1, 2, 2])
    drawn = on_plane(torch.randn(4, 3), labels, torch.eye(3), range(3))
    assert [rank for _, _, rank in drawn["points"]] == [0, 1, 2, 2]
