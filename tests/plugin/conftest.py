"""Sentences of many lengths, which the synthetic corpus lacks."""

import pytest
import torch
from fairseq.data import LanguagePairDataset


@pytest.fixture
def ragged(monkeypatch):
    """Cut up to five tokens from the sentences of every set that is read: batches then have padding on both sides."""
    whole = LanguagePairDataset.__getitem__

    def cut(self, index):
        example = whole(self, index)
        for side, period in (("source", 4), ("target", 6)):
            tokens = example[side]
            example[side] = torch.cat((tokens[: len(tokens) - 1 - index % period], tokens[-1:]))
        return example

    monkeypatch.setattr(LanguagePairDataset, "__getitem__", cut)
