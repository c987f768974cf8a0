"""fairseq's Transformer in training on a GPU: fused attention, no waits, and fewer kernels.

The parameters, their names and the numbers (to float noise) are those of fairseq. fairseq itself takes
``scaled_dot_product_attention`` for self-attention alone, makes a mask of every head and layer, and asks the device
whether a batch has padding, once a layer. Here

- attention to the encoder is fused too, and the last layer's weights, which nobody reads in training, are not made;
- the mask of the source is made once, in the form that the kernels read; targets need none beside the causal one,
  since their padding is on the right and has no loss;
- query, key and value of a self-attention come from one product, key and value of the encoder's states from another.

Validating, searching, and training on a CPU take fairseq's own path.
"""

from __future__ import annotations

from typing import Any

import torch
from fairseq.models.transformer import TransformerDecoderBase, TransformerEncoderBase
from fairseq.modules import MultiheadAttention
from fairseq.modules.transformer_layer import TransformerDecoderLayerBase, TransformerEncoderLayerBase
from torch.nn.functional import linear, scaled_dot_product_attention

_CAUSAL: Any = object()
"""In the place of the future mask: each position sees itself and those before it."""

_ROW = 16  # elements: torch copies a mask whose rows begin elsewhere


def hasten_attention(model: Any) -> bool:
    """Turn the parts of a fairseq Transformer into those of this module; return whether the model is one.

    Targets must be padded on the right. A model with parts that are not fairseq's own is left alone.
    """
    encoder: Any = getattr(model, "encoder", None)
    decoder: Any = getattr(model, "decoder", None)
    if type(encoder) is not TransformerEncoderBase or type(decoder) is not TransformerDecoderBase:
        return False
    attentions = [module for module in model.modules() if isinstance(module, MultiheadAttention)]
    layers = [*encoder.layers.children(), *decoder.layers.children()]  # iterating itself may drop some
    plain = (
        all(type(layer) in (TransformerEncoderLayerBase, TransformerDecoderLayerBase) for layer in layers)
        and all(map(_is_plain, attentions))
        and not (encoder.return_fc or decoder.cross_self_attention)
    )
    if plain:
        encoder.__class__, decoder.__class__ = Encoder, Decoder
        for attention in attentions:
            attention.__class__ = Attention
        # Batches have many shapes, and cuDNN's attention makes a plan for each of them.
        torch.backends.cuda.enable_cudnn_sdp(False)
    return plain


def _is_plain(attention: MultiheadAttention) -> bool:
    projections = (attention.q_proj, attention.k_proj, attention.v_proj, attention.out_proj)
    return (
        type(attention) is MultiheadAttention
        and all(map(_is_linear, projections))
        and not (attention.use_xformers or attention.add_zero_attn or attention.skip_embed_dim_check)
        and attention.bias_k is None
    )


def _is_linear(projection: torch.nn.Module) -> bool:
    hooked = bool(projection._forward_pre_hooks)  # quantisation noise changes the weight in a hook
    return type(projection) is torch.nn.Linear and projection.bias is not None and not hooked


def _is_fused(module: torch.nn.Module, tokens: torch.Tensor) -> bool:
    return module.training and tokens.is_cuda


def padding_bias(padding: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """0 where ``padding`` (B, T) is False, else -inf: what attention adds to its logits."""
    n, length = padding.shape
    rows = torch.zeros(n, -(-length // _ROW) * _ROW, dtype=dtype, device=padding.device)
    return rows[:, :length].masked_fill_(padding, float("-inf"))


class Encoder(TransformerEncoderBase):
    """`TransformerEncoderBase` that asks the device nothing and makes the mask of its layers once."""

    def forward_scriptable(
        self,
        src_tokens: torch.Tensor,
        src_lengths: torch.Tensor | None = None,
        return_all_hiddens: bool = False,
        token_embeddings: torch.Tensor | None = None,
    ) -> dict[str, list[Any]]:
        """The stock output."""
        if not _is_fused(self, src_tokens):
            return super().forward_scriptable(src_tokens, src_lengths, return_all_hiddens, token_embeddings)
        padding = src_tokens.eq(self.padding_idx)
        x, embedding = self.forward_embedding(src_tokens, token_embeddings)
        x = x.masked_fill(padding.unsqueeze(-1), 0).transpose(0, 1).contiguous()
        bias = padding_bias(padding, x.dtype)
        states = [x]
        for layer in self.layers:
            x = layer(x, encoder_padding_mask=bias)
            states.append(x)
        if self.layer_norm is not None:
            x = self.layer_norm(x)
        return {
            "encoder_out": [x],
            "encoder_padding_mask": [padding],
            "encoder_embedding": [embedding],
            "encoder_states": states if return_all_hiddens else [],
            "fc_results": [None] * (len(states) - 1) if return_all_hiddens else [],
            "src_tokens": [],
            "src_lengths": [(~padding).sum(dim=1, dtype=torch.int32).reshape(-1, 1)],
        }


class Decoder(TransformerDecoderBase):
    """`TransformerDecoderBase` that asks the device nothing and makes no attention weights in training."""

    def extract_features_scriptable(
        self,
        prev_output_tokens: torch.Tensor,
        encoder_out: dict[str, list[Any]] | None,
        incremental_state: Any = None,
        full_context_alignment: bool = False,
        alignment_layer: int | None = None,
        alignment_heads: int | None = None,
    ) -> tuple[torch.Tensor, dict[str, list[Any]]]:
        """The stock hidden states (B, T, D), and no attention weights; those at padding differ from the stock ones."""
        asked = full_context_alignment or alignment_layer is not None or alignment_heads is not None
        if asked or encoder_out is None or incremental_state is not None or not _is_fused(self, prev_output_tokens):
            return super().extract_features_scriptable(
                prev_output_tokens,
                encoder_out,
                incremental_state,
                full_context_alignment,
                alignment_layer,
                alignment_heads,
            )
        source = encoder_out["encoder_out"][0]
        bias = padding_bias(encoder_out["encoder_padding_mask"][0], source.dtype)
        x = self._embedded(prev_output_tokens).transpose(0, 1).contiguous()
        states = [x]
        for layer in self.layers:
            x, _, _ = layer(x, source, bias, self_attn_mask=_CAUSAL)
            states.append(x)
        if self.layer_norm is not None:
            x = self.layer_norm(x)
        x = x.transpose(0, 1)
        if self.project_out_dim is not None:
            x = self.project_out_dim(x)
        return x, {"attn": [None], "inner_states": states}

    def _embedded(self, tokens: torch.Tensor) -> torch.Tensor:
        """The embeddings (B, T, D) of tokens and positions, as fairseq's decoder makes them."""
        x = self.embed_scale * self.embed_tokens(tokens)
        if self.quant_noise is not None:
            x = self.quant_noise(x)
        if self.project_in_dim is not None:
            x = self.project_in_dim(x)
        if self.embed_positions is not None:
            x = x + self.embed_positions(tokens)
        if self.layernorm_embedding is not None:
            x = self.layernorm_embedding(x)
        return self.dropout_module(x)


class Attention(MultiheadAttention):
    """`MultiheadAttention` by one fused kernel where `Encoder` and `Decoder` ask for it, by the mask that they give."""

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor | None,
        value: torch.Tensor | None,
        key_padding_mask: torch.Tensor | None = None,
        incremental_state: Any = None,
        need_weights: bool = True,
        static_kv: bool = False,
        attn_mask: Any = None,
        before_softmax: bool = False,
        need_head_weights: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The stock output (T, B, D), with the weights only where the stock path computes it."""
        causal = attn_mask is _CAUSAL
        if causal or (key_padding_mask is not None and key_padding_mask.is_floating_point()):
            return self._fused(query, key, key_padding_mask, causal), None
        return super().forward(
            query,
            key,
            value,
            key_padding_mask,
            incremental_state,
            need_weights,
            static_kv,
            attn_mask,
            before_softmax,
            need_head_weights,
        )

    def _fused(
        self, query: torch.Tensor, key: torch.Tensor | None, bias: torch.Tensor | None, causal: bool
    ) -> torch.Tensor:
        length, batch, _ = query.shape
        q, k, v = (
            x.view(x.size(0), batch, self.num_heads, self.head_dim).permute(1, 2, 0, 3)
            for x in self._projected(query, key)
        )
        if bias is not None:
            bias = bias[:, None, None, :].expand(-1, self.num_heads, length, -1)
        active = self.training or self.dropout_module.apply_during_inference
        p = self.dropout_module.p if active else 0.0
        x = scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=p, is_causal=causal)
        return self.out_proj(x.permute(2, 0, 1, 3).reshape(length, batch, self.embed_dim))

    def _projected(self, query: torch.Tensor, key: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        """Query, key and value, each (T, B, D)."""
        if key is query:
            return _product(query, self.q_proj, self.k_proj, self.v_proj)
        return self.q_proj(query), *_product(key, self.k_proj, self.v_proj)


def _product(x: Any, *projections: torch.nn.Linear) -> tuple[torch.Tensor, ...]:
    """The results of several projections of ``x``, as one product."""
    weight = torch.cat([projection.weight for projection in projections])
    bias = torch.cat([projection.bias for projection in projections])
    return linear(x, weight, bias).chunk(len(projections), dim=-1)
