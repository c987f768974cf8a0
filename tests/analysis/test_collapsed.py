"""The mutual information of two collapsed clusters: its mean in closed form, and the estimator of the records."""

import math

import numpy as np
import pytest
import torch
from commands import ROOT

from analysis import collapsed
from analysis.collapsed import collapsed_information, main
from mt_ls.vision.mutual_information import estimate


def _of_many_images(samples, reused):
    """The mean estimate for many images and noise of deviation 1.

    Means have variance 1 / L, so the mean over another image of exp(-(y - mu)^2 / 2 s2) is a Gaussian integral.
    """
    pooled = 1 - 1 / samples if reused else 1 + 1 / samples
    wide = pooled + 1 / samples
    return math.log(2) - 0.5 + 0.5 * math.log(wide / pooled) + 1 / (2 * wide)


@pytest.mark.parametrize("samples", [5, 50])
@pytest.mark.parametrize("reused", [False, True])
def test_the_mean_is_that_of_many_images(samples, reused):
    """The range of the estimates is narrow, and a fresh y is below log 2, a reused one above."""
    floor = collapsed_information(600, samples, reused)
    assert floor.mean == pytest.approx(_of_many_images(samples, reused), abs=2e-3)
    assert floor.low < floor.mean < floor.high < floor.low + 0.08
    assert (floor.mean > math.log(2)) == reused


def test_the_range_holds_95_percent_of_estimates_by_the_estimator_of_the_records():
    rng = np.random.default_rng(7)
    for reused in (False, True):
        low, high = collapsed_information(60, 5, reused)[1:]
        inside = []
        for _ in range(400):
            draws = torch.tensor(rng.normal(np.repeat([0.0, 500.0], 30)[:, None], 2.0, (60, 6)))
            nats = estimate(draws[:, :5], draws[:, 0 if reused else 5])
            inside.append(low <= nats <= high)
        assert 0.91 < np.mean(inside) < 0.985


def test_the_same_arguments_give_the_same_numbers():
    first = collapsed_information(20, 5, True)
    collapsed_information.cache_clear()
    assert collapsed_information(20, 5, True) == first != collapsed_information(20, 5, False)


@pytest.mark.parametrize(("n", "samples"), [(7, 5), (2, 5), (8, 1)])
def test_too_few_images_or_samples_are_refused(n, samples):
    with pytest.raises(ValueError, match=f"{n} images, {samples} samples: two classes have"):
        collapsed_information(n, samples, reused=False)


def test_the_command_prints_what_the_page_shows(capsys):
    assert main([]) == 0
    assert f"```\n{capsys.readouterr().out}```\n" in (ROOT / "docs" / "records.md").read_text()


def test_the_command_ends_with_one_line_on_bad_input(capsys, monkeypatch):
    monkeypatch.setattr(collapsed, "N_SIMULATIONS", 2)
    assert main(["--images", "7"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "analysis.collapsed: error: 7 images, 5 samples: two classes have at least two images and two samples each"
    ]
