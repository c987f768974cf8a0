"""The named architectures: their sizes, which options override."""

from argparse import Namespace

import pytest
from fairseq.models import ARCH_CONFIG_REGISTRY

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
