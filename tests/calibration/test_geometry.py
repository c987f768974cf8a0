"""The plane through three templates, and the geometry of activations where it is known."""

import json
import math

import pytest
import torch

from mt_ls.calibration.geometry import N_EACH, geometry, plane_points, plane_through


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
    for name in ("variance_within", "distance_to_own", "spread_of_others", "nc1", "nc2_norms", "nc2_angles"):
        assert numbers[name] == pytest.approx(0, abs=1e-6), name
    assert numbers["variance_between"] == pytest.approx(9 * (1 - 1 / 4))


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


def test_points_of_a_plane_are_those_of_its_three_classes():
    """Classes 3, 0 and 4 of five: their first points, class after class, at their distances on the plane."""
    rng = torch.Generator().manual_seed(2)
    templates = torch.randn(5, 7, generator=rng, dtype=torch.float64)
    points = torch.randn(900, 7, generator=rng, dtype=torch.float64)
    labels = torch.arange(900) % 5
    classes = [3, 0, 4]
    rows = plane_points(points, labels, templates, classes)
    assert [rank for _, _, rank in rows] == [rank for rank in range(3) for _ in range(N_EACH)]
    chosen = torch.cat([points[labels == label][:N_EACH] for label in classes])
    expected = plane_through(templates[classes]).project(chosen).float()
    assert torch.equal(torch.tensor([row[:2] for row in rows]), expected)
    assert json.loads(json.dumps(rows)) == rows


def test_a_class_with_few_points_has_them_all():
    labels = torch.tensor([0, 1, 2, 2])
    rows = plane_points(torch.randn(4, 3), labels, torch.eye(3), range(3))
    assert [rank for _, _, rank in rows] == [0, 1, 2, 2]
