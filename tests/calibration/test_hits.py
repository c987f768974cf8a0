"""The one rule of hits: a target that no class exceeds."""

import pytest
import torch

from mt_ls.calibration.hits import is_hit
from mt_ls.calibration.temperature import at_temperatures
from mt_ls.smoothing.kinds import Smoothing
from mt_ls.smoothing.logits import smoothed_cross_entropy


@pytest.mark.parametrize(
    ("target", "greatest", "hit"),
    [
        (1.0, 1.0, True),
        (0.5, 1.0, False),
        (-torch.inf, 1.0, False),
        (torch.inf, torch.inf, True),
        (torch.nan, 1.0, False),
    ],
)
def test_the_target_has_the_greatest_logit(target, greatest, hit):
    assert is_hit(torch.tensor([target]), torch.tensor([greatest])).tolist() == [hit]


def test_shapes_are_kept():
    logits = torch.randn(7, 3)
    target = torch.tensor([0, 1, 2, 0, 1, 2, 0]).unsqueeze(-1)
    column = is_hit(logits.gather(-1, target), logits.amax(-1, keepdim=True))
    assert column.shape == (7, 1)
    assert torch.equal(column[:, 0], logits.argmax(-1) == target[:, 0])


def test_measuring_and_training_follow_the_rule_on_ties():
    """All logits are equal, so every target is a hit, whichever class an argmax names."""
    logits, target = torch.zeros(5, 5), torch.arange(5)
    assert at_temperatures(logits, target, [1.0]).hit.all()
    assert smoothed_cross_entropy(logits, target, Smoothing("uniform", 0.1)).hit.all()
