"""Small Transformers with a name each, so that a recipe's command names what it trains."""

from argparse import Namespace

from fairseq.models import register_model_architecture
from fairseq.models.transformer import base_architecture


def _sizes(args: Namespace, layers: int, width: int, feed_forward: int, heads: int) -> None:
    for side in ("encoder", "decoder"):
        for option, value in (
            ("layers", layers),
            ("embed_dim", width),
            ("ffn_embed_dim", feed_forward),
            ("attention_heads", heads),
        ):
            setattr(args, f"{side}_{option}", getattr(args, f"{side}_{option}", value))
    base_architecture(args)


@register_model_architecture("transformer", "transformer_mt_ls_micro")
def micro(args: Namespace) -> None:
    """1 + 1 layers, d 64, ffn 128, 4 heads: the synthetic grammar, in a minute on two cores."""
    _sizes(args, layers=1, width=64, feed_forward=128, heads=4)


@register_model_architecture("transformer", "transformer_mt_ls_mini")
def mini(args: Namespace) -> None:
    """2 + 2 layers, d 128, ffn 512, 4 heads: the sweep over sizes of data."""
    _sizes(args, layers=2, width=128, feed_forward=512, heads=4)


@register_model_architecture("transformer", "transformer_mt_ls_mini_narrow")
def mini_narrow(args: Namespace) -> None:
    """2 + 2 layers, d 64, ffn 256, 4 heads: the sweep's second width."""
    _sizes(args, layers=2, width=64, feed_forward=256, heads=4)


@register_model_architecture("transformer", "transformer_mt_ls_small")
def small(args: Namespace) -> None:
    """3 + 3 layers, d 128, ffn 512, 4 heads: the quickstart."""
    _sizes(args, layers=3, width=128, feed_forward=512, heads=4)


@register_model_architecture("transformer", "transformer_mt_ls_tiny")
def tiny(args: Namespace) -> None:
    """4 + 4 layers, d 128, ffn 256, 4 heads: "Transformer-Tiny" of Wu et al. 2021 for Multi30k.

    fairseq's own ``transformer_tiny`` is another model (2 + 2 layers, d 64).
    """
    _sizes(args, layers=4, width=128, feed_forward=256, heads=4)
