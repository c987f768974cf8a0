"""Checkpoints that a user could have by mistake."""

import torch


def write_swapped(checkpoint, path):
    """Write a checkpoint that says it translates from German: its model gets references as sources. Return ``path``."""
    state = torch.load(checkpoint, weights_only=True)
    state["cfg"]["task"] |= {"source_lang": "de", "target_lang": "en"}
    torch.save(state, path)
    return path
