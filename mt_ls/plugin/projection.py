"""The last step of a fairseq Transformer, features to logits, by itself, so that it can run a chunk at a time."""

from __future__ import annotations

from typing import Any

import torch
from fairseq.models.transformer import TransformerDecoderBase, TransformerModelBase
from torch.nn.parallel import DistributedDataParallel


def output_projection(model: Any) -> torch.Tensor | None:
    """The matrix (K, D) that turns the features of a fairseq Transformer into its logits; such a model's ``forward``
    gives features with ``features_only=True``. None for a model whose last step is not known to be just that (an
    adaptive softmax, a bias, an architecture of its own), or that must do that step itself (wrapped by FSDP, or by DDP
    with ``find_unused_parameters``): ask that one for its ``get_normalized_probs``."""
    while hasattr(model, "module"):  # the wrappers of distributed training
        if _needs_the_weight_inside_forward(model):
            return None
        model = model.module
    decoder = getattr(model, "decoder", None)
    stock = (
        type(model).forward is TransformerModelBase.forward
        and type(model).get_normalized_probs is TransformerModelBase.get_normalized_probs
        and getattr(type(decoder), "output_layer", None) is TransformerDecoderBase.output_layer
    )
    projection = getattr(decoder, "output_projection", None)
    if stock and type(projection) is torch.nn.Linear and projection.bias is None:
        return projection.weight
    return None


def _needs_the_weight_inside_forward(wrapper: Any) -> bool:
    # A sharded weight is whole in forward alone; a search for unused parameters takes the weight for one of them, and
    # its gradient then comes a second time.
    sharded = type(wrapper).__name__ == "FullyShardedDataParallel"
    return sharded or (isinstance(wrapper, DistributedDataParallel) and wrapper.find_unused_parameters)
