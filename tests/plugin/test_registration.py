"""Effects of importing the plugin: registered names, named architectures, and checkpoints for the safe unpickler."""

import pickle
import subprocess
import sys
from argparse import Namespace
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from fairseq.criterions import CRITERION_REGISTRY
from fairseq.models import ARCH_CONFIG_REGISTRY, ARCH_MODEL_REGISTRY
from fairseq.tasks import TASK_REGISTRY
from omegaconf import OmegaConf

import mt_ls.plugin  # noqa: F401

PARTS = ("layers", "embed_dim", "ffn_embed_dim", "attention_heads")


@pytest.mark.parametrize(
    ("name", "sizes"),
    [("micro", (1, 64, 128, 4)), ("small", (3, 128, 512, 4)), ("tiny", (4, 128, 256, 4))],
)
def test_sizes_are_those_of_the_name_on_both_sides(name, sizes):
    args = Namespace()
    ARCH_CONFIG_REGISTRY[f"transformer_mt_ls_{name}"](args)
    for side in ("encoder", "decoder"):
        values = [
            getattr(args, f"{side}_{part}") for part in ("layers", "embed_dim", "ffn_embed_dim", "attention_heads")
        ]
        assert tuple(values) == sizes


def test_an_option_overrides_a_size():
    args = Namespace(decoder_layers=2)
    ARCH_CONFIG_REGISTRY["transformer_mt_ls_tiny"](args)
    assert (args.encoder_layers, args.decoder_layers) == (4, 2)


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


@pytest.mark.parametrize(
    ("first", "registered"), [("fairseq", "True"), ("sys", "False")], ids=["with fairseq", "without fairseq"]
)
def test_the_plugin_is_imported_where_fairseq_is(first, registered):
    program = f"import sys, {first}, mt_ls; print('mt_ls.plugin' in sys.modules, 'fairseq' in sys.modules)"
    output = subprocess.check_output([sys.executable, "-c", program], text=True)
    assert output.splitlines()[-1] == f"{registered} {registered}"


def test_the_names_of_the_plugin_are_registered():

    assert "label_smoothed_cross_entropy_with_calibration" in CRITERION_REGISTRY
    assert "translation_with_calibration" in TASK_REGISTRY
    assert {f"transformer_mt_ls_{size}" for size in ("micro", "small", "tiny")} <= set(ARCH_MODEL_REGISTRY)
