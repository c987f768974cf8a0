"""The value `Smoothing`: its conventions, its label and its bad values."""

import subprocess
import sys

import pytest

from mt_ls.smoothing.kinds import Smoothing


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
