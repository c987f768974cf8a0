"""The value `Smoothing`, and the prior over classes: conventions, labels, counts, and bad values."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from mt_ls.smoothing.kinds import Smoothing
from mt_ls.smoothing.prior import checked_prior, prior_of


def test_the_conventions_agree_at_epsilon_is_alpha_times_k_minus_1_over_k():
    assert Smoothing("uniform", 0.1 * 4 / 5, "fairseq").alpha(5) == pytest.approx(0.1)
    assert Smoothing("uniform", 0.1, "paper").alpha(5) == Smoothing("unigram", 0.1).alpha(5) == 0.1


def test_labels_name_the_convention_or_the_prior():
    labels = [Smoothing(amount=0.1).label, Smoothing("uniform", 0.05, "fairseq").label, Smoothing("unigram", 0.1).label]
    assert labels == ["0.10paper", "0.05fairseq", "0.10unigram"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("bigram",), "unknown kind of smoothing 'bigram': choose one of uniform, unigram"),
        (("uniform", 0.1, "torch"), "unknown smoothing convention 'torch': choose one of paper, fairseq"),
        (("uniform", 1.0), r"label smoothing must lie in \[0, 1\), not 1.0"),
        (("uniform", -0.1), "label smoothing must lie in"),
        (("uniform", float("nan")), "label smoothing must lie in"),
        (("unigram", 0.1, "fairseq"), "the fairseq convention is for uniform smoothing only"),
    ],
)
def test_bad_values_are_refused_in_one_line(values, message):
    with pytest.raises(ValueError, match=message) as error:
        Smoothing(*values)
    assert len(str(error.value).splitlines()) == 1


def test_a_smoothing_needs_no_torch():
    program = "import sys; from mt_ls.smoothing.kinds import Smoothing; Smoothing(); print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "False\n"


UNIGRAM = Smoothing("unigram", 0.1)


def test_a_unigram_prior_is_the_relative_frequencies():
    prior = prior_of(UNIGRAM, np.array([1, 0, 3]))
    assert prior.dtype == torch.float32 and prior.tolist() == [0.25, 0, 0.75]


def test_counts_beyond_float32_still_sum_to_1():
    prior = prior_of(UNIGRAM, np.array([2**40, 1, 2**31]))
    assert prior.sum().item() == pytest.approx(1) and prior[1] > 0


def test_uniform_smoothing_has_no_prior_and_needs_no_counts():
    assert prior_of(Smoothing("uniform", 0.1)) is None
    assert checked_prior(Smoothing("uniform", 0.1), None, 3) is None


@pytest.mark.parametrize("counts", [None, np.zeros(3), np.array([2, -1])])
def test_counts_that_make_no_prior_are_refused(counts):
    with pytest.raises(ValueError, match="unigram smoothing needs the token counts"):
        prior_of(UNIGRAM, counts)


def test_a_good_prior_is_returned_and_an_amount_of_0_needs_none():
    prior = torch.tensor([0.5, 0.25, 0.25])
    assert checked_prior(UNIGRAM, prior, 3) is prior
    assert checked_prior(Smoothing("unigram", 0.0), prior, 3) is None
    assert checked_prior(Smoothing("unigram", 0.0), None, 3) is None


@pytest.mark.parametrize(
    ("smoothing", "prior", "message"),
    [
        (UNIGRAM, None, "unigram smoothing needs a prior over 3 classes"),
        (UNIGRAM, torch.ones(4) / 4, r"must have shape \(3,\), not \(4,\)"),
        (UNIGRAM, torch.ones(1, 3) / 3, r"must have shape \(3,\), not \(1, 3\)"),
        (UNIGRAM, torch.ones(3) / 2, "a prior must sum to 1, not 1.5"),
        (UNIGRAM, torch.ones(3) / 4, "a prior must sum to 1, not 0.75"),
        (UNIGRAM, torch.tensor([0.5, 0.5, torch.nan]), "a prior must sum to 1, not nan"),
        (Smoothing("uniform", 0.1), torch.ones(3) / 3, "uniform smoothing takes no prior"),
    ],
)
def test_bad_priors_are_refused_in_one_line(smoothing, prior, message):
    with pytest.raises(ValueError, match=message) as error:
        checked_prior(smoothing, prior, 3)
    assert len(str(error.value).splitlines()) == 1
