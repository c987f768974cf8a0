"""The last step of a fairseq Transformer, from hidden states to logits, apart from the model.

The loss can then run it a chunk at a time.
"""

from __future__ import annotations

from typing import Any

import torch
from fairseq.models.transformer import TransformerDecoderBase, TransformerModelBase
from torch.nn.parallel import DistributedDataParallel


def output_projection(model: Any) -> torch.Tensor | None:
    """The matrix (K, D) that makes the logits of a fairseq Transformer, or None for another model.

    A model with such a matrix returns its hidden states with ``features_only=True``. The result is None where the last
    step is not known to be that matrix alone (an adaptive softmax, a bias, another architecture), and where the model
    must do the step itself (wrapped by FSDP, or by DDP with ``find_unused_parameters``): use its
    ``get_normalized_probs`` then.
    """
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
    # A sharded weight is whole in forward alone. A search for unused parameters takes the weight for one of them, and
    # its gradient then comes a second time.
    sharded = type(wrapper).__name__ == "FullyShardedDataParallel"
    return sharded or (isinstance(wrapper, DistributedDataParallel) and wrapper.find_unused_parameters)
