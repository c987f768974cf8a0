"""Hits where bfloat16 products tie, and a torch that lacks the private operators."""

import pytest
import torch

from mt_ls.smoothing import cpu


def test_float32_logits_decide_the_ties_of_rounded_logits():
    """Row 0: the target ties with a class that float32 puts above it. Row 1: no tie. Row 2: a tie in float32 too."""
    weight = torch.tensor([[1.0], [1.001], [0.5], [1.001]])
    hidden, target = torch.ones(3, 1), torch.tensor([0, 2, 1])
    rounded = (hidden @ weight.T).bfloat16().float()
    before, y = rounded.clone(), target.unsqueeze(1)
    ties = cpu.RoundedTies()
    ties.add(0, rounded[:2], y[:2], rounded[:2].gather(1, y[:2]))
    ties.add(2, rounded[2:], y[2:], rounded[2:].gather(1, y[2:]))
    assert torch.equal(rounded, before)
    hit = torch.tensor([True, False, True])
    ties.decide(hit, hidden, weight, target)
    assert hit.tolist() == [False, False, True]


def test_no_rows_have_no_ties():
    hit = torch.empty(0, dtype=torch.bool)
    cpu.RoundedTies().decide(hit, torch.empty(0, 2), torch.ones(3, 2), torch.empty(0, dtype=torch.long))
    assert len(hit) == 0


@pytest.mark.parametrize("probe", [cpu._has_onednn, cpu.has_bfloat16])
def test_a_torch_without_the_private_operators_has_neither_product(probe, monkeypatch):
    monkeypatch.setattr(torch.ops, "mkldnn", object())
    assert probe() is False
