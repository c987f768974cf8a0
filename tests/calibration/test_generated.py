"""Sums of generated tokens by class: shifted tokens are in none."""

import torch

from mt_ls.calibration.generated import GeneratedTokens

TOKENS = GeneratedTokens(
    probability=torch.tensor([0.95, 0.55, 0.05, 1.0000001, 0.35, 0.99]),
    hit=torch.tensor([True, False, True, True, True, False]),
    kept=torch.tensor([True, True, False, True, True, True]),
    eos=torch.tensor([False, False, False, True, False, True]),
    sentence=torch.tensor([0, 0, 0, 0, 2, 2]),
)


def test_every_token_is_in_one_class_or_left_out():
    sums = TOKENS.sums(3)
    assert list(sums) == ["others", "eos"] and all(part.shape == (3, 3, 15) for part in sums.values())
    others, eos = sums["others"], sums["eos"]
    assert others[:, 0].sum(1).tolist() == [2, 0, 1] and eos[:, 0].sum(1).tolist() == [1, 0, 1]
    assert others[:, 2].sum(1).tolist() == [1, 0, 1] and eos[:, 2].sum(1).tolist() == [1, 0, 0]
    torch.testing.assert_close(others[0, 1].sum(), torch.tensor(1.5, dtype=torch.float64))
    assert eos[0, 1, 14] == 1  # rounding has raised it above 1
    assert TOKENS.n_left_out == 1
    assert others[:, 0].sum() + eos[:, 0].sum() + TOKENS.n_left_out == len(TOKENS.hit)
