"""The last step of a fairseq Transformer, features to logits, by itself, so that it can run a chunk at a time."""

from __future__ import annotations

from typing import Any

import torch
from fairseq.models.transformer import TransformerDecoderBase, TransformerModelBase


def output_projection(model: Any) -> torch.Tensor | None:
    """The matrix (K, D) that turns the features of a fairseq Transformer into its logits, or None for a model whose
    last step is not known to be just that. Such a model's ``forward`` gives features with ``features_only=True``.

    Raises ValueError for an adaptive softmax, which has no full logits.
    """
    while hasattr(model, "module"):  # the wrappers of distributed training
        model = model.module
    decoder = getattr(model, "decoder", None)
    if getattr(decoder, "adaptive_softmax", None) is not None:
        raise ValueError("calibration needs every logit: use a model without --adaptive-softmax-cutoff")
    stock = (
        type(model).forward is TransformerModelBase.forward
        and getattr(type(decoder), "output_layer", None) is TransformerDecoderBase.output_layer
    )
    projection = getattr(decoder, "output_projection", None)
    if stock and type(projection) is torch.nn.Linear and projection.bias is None:
        return projection.weight
    return None
