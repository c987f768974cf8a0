"""torch's safe unpickler with fairseq's checkpoints: their objects load, others stay refused."""

import pickle
from argparse import Namespace
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

import mt_ls.plugin  # noqa: F401


def test_the_objects_of_a_checkpoint_load(tmp_path):
    state = {
        "cfg": OmegaConf.create({"task": {"data": "x", "seeds": [1, 2]}}),
        "args": Namespace(lr=0.1),
        "best": np.float64(3.5),
        "sizes": np.arange(3),
        "meters": defaultdict(dict),
    }
    torch.save(state, tmp_path / "checkpoint.pt")
    loaded = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert loaded["cfg"] == state["cfg"] and loaded["args"] == state["args"] and loaded["best"] == 3.5
    assert loaded["sizes"].tolist() == [0, 1, 2]


def test_other_objects_stay_refused(tmp_path):
    torch.save({"path": Path("x")}, tmp_path / "checkpoint.pt")
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        torch.load(tmp_path / "checkpoint.pt", weights_only=True)
