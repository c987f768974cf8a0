"""The closed form of label smoothing: the smoothed loss of targets with frequencies p is least at (1 - a) p + a u.

A cross entropy is least where the prediction is its target, and the mean target of such rows is (1 - a) p + a u, with u
the prior (Szegedy et al. 2016 for the uniform one, Pereyra et al. 2017 for unigrams).
"""

import pytest
import torch

from mt_ls.smoothing.hidden import linear_smoothed_cross_entropy
from mt_ls.smoothing.kinds import Smoothing
from mt_ls.smoothing.logits import smoothed_cross_entropy

COUNTS = torch.tensor([1, 0, 4, 2, 3])  # of the targets of 10 rows that share their logits
P = COUNTS / 10
UNIGRAM = torch.tensor([0.1, 0.2, 0.3, 0.0, 0.4], dtype=torch.float64)
UNIFORM = torch.full((5,), 0.2, dtype=torch.float64)


def _plain(z, *arguments):
    return smoothed_cross_entropy(z.expand(10, 5), *arguments).loss.sum()


def _chunked(z, *arguments):
    hidden = torch.ones(10, 1, dtype=torch.float64)
    return linear_smoothed_cross_entropy(hidden, z.unsqueeze(1), *arguments)[0]


def _optimum(loss, smoothing, prior):
    """softmax of the logits that minimise the loss of all rows."""
    z = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    target = torch.arange(5).repeat_interleave(COUNTS)
    optimiser = torch.optim.LBFGS([z], max_iter=500, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        total = loss(z, target, smoothing, prior)
        total.backward()
        return total

    optimiser.step(closure)
    return z.softmax(0).detach()


@pytest.mark.parametrize("loss", [_plain, _chunked])
@pytest.mark.parametrize("alpha", [0.1, 0.5])
@pytest.mark.parametrize(("kind", "prior"), [("uniform", UNIFORM), ("unigram", UNIGRAM)])
def test_the_optimum_mixes_frequencies_and_prior(loss, alpha, kind, prior):
    optimum = _optimum(loss, Smoothing(kind, alpha), prior if kind == "unigram" else None)
    torch.testing.assert_close(optimum, (1 - alpha) * P + alpha * prior, atol=1e-5, rtol=0)


@pytest.mark.parametrize("loss", [_plain, _chunked])
def test_fairseqs_convention_leaves_1_minus_epsilon_to_the_target(loss):
    """A class of frequency p has (1 - epsilon) p as a target, and epsilon (1 - p) / (K - 1) as a wrong class."""
    optimum = _optimum(loss, Smoothing("uniform", 0.1, "fairseq"), None)
    torch.testing.assert_close(optimum, 0.9 * P.double() + 0.1 * (1 - P.double()) / 4, atol=1e-5, rtol=0)
