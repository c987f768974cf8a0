"""The Transformer of a training on a GPU against fairseq's: outputs, gradients, and which models it is for."""

import copy

import pytest
import torch
from fairseq.models.transformer import TransformerConfig, TransformerModelBase
from fairseq.modules.quant_noise import quant_noise

from mt_ls.plugin import attention
from mt_ls.plugin.attention import Attention, Decoder, Encoder, hasten_attention, padding_bias


@pytest.fixture(autouse=True)
def fused_on_a_cpu(monkeypatch):
    monkeypatch.setattr(attention, "_is_fused", lambda module, tokens: module.training)
    monkeypatch.setattr(torch.backends.cuda, "enable_cudnn_sdp", lambda enabled: None)


@pytest.fixture
def build(loaded):
    """A Transformer of the shared model's task without dropout, with changed settings."""
    (model,), task, _ = loaded

    def build(**changes):
        settings = copy.deepcopy(model.cfg)
        settings.dropout = 0.0
        for name, value in changes.items():
            section, _, option = name.rpartition("__")
            setattr(getattr(settings, section) if section else settings, option, value)
        torch.manual_seed(1)
        return TransformerModelBase.build_model(TransformerConfig.from_namespace(settings), task)

    return build


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"encoder__normalize_before": True, "decoder__normalize_before": True},
        {"encoder__layers": 3, "decoder__layers": 2, "layernorm_embedding": True, "no_scale_embedding": True},
        {"encoder__learned_pos": True, "decoder__learned_pos": True},
        {"checkpoint_activations": True},
    ],
)
def test_hidden_states_and_gradients_are_fairseqs(build, loaded, ragged, changes):
    """At the real tokens; the batch has padding on the left of sources and on the right of targets."""
    _, task, _ = loaded
    dataset = task.datasets["test"]
    sample = dataset.collater([dataset[i] for i in range(20)])
    net_input, real = sample["net_input"], sample["target"] != task.target_dictionary.pad()
    assert not real.all() and (net_input["src_tokens"] == task.source_dictionary.pad()).any()
    stock, model = build(**changes).train(), build(**changes).train()
    assert hasten_attention(model) and list(model.state_dict()) == list(stock.state_dict())
    results = []
    for each in (stock, model):
        hidden = each(**net_input, features_only=True)[0][real]
        weights = torch.linspace(-1, 1, hidden.numel()).view_as(hidden)
        (hidden * weights).sum().backward()
        results.append((hidden, {name: p.grad for name, p in each.named_parameters()}))
    torch.testing.assert_close(results[0][0], results[1][0], rtol=1e-4, atol=1e-5)
    for name, gradient in results[0][1].items():
        torch.testing.assert_close(results[1][1][name], gradient, rtol=1e-3, atol=1e-4, msg=name)


def test_no_stock_attention_and_no_weights_in_training(build, loaded, monkeypatch):
    _, _, sample = loaded
    model = build().train()
    hasten_attention(model)
    monkeypatch.setattr(attention.MultiheadAttention, "forward", lambda *_, **__: pytest.fail("stock attention"))
    assert model(**sample["net_input"])[1]["attn"] == [None]


def test_in_evaluation_and_in_search_it_is_the_stock_model(build, loaded):
    _, task, sample = loaded
    stock, model = build().eval(), build().eval()
    hasten_attention(model)
    with torch.no_grad():
        expected, extra = stock(**sample["net_input"])
        output, own_extra = model(**sample["net_input"])
    assert torch.equal(output, expected) and torch.equal(own_extra["attn"][0], extra["attn"][0])
    found = [
        task.build_generator([each], type("", (), {"beam": 2, "max_len_b": 8})()).generate([each], sample)
        for each in (stock, model)
    ]
    for hypotheses, others in zip(*found, strict=True):
        assert torch.equal(hypotheses[0]["tokens"], others[0]["tokens"])


def test_attention_dropout_is_applied(build, loaded):
    model = build(attention_dropout=0.5).train()
    hasten_attention(model)
    outputs = [model(**loaded[2]["net_input"])[0] for _ in range(2)]
    assert not torch.equal(*outputs)


def _with_quantisation_noise(model):
    quant_noise(model.decoder.layers[0].self_attn.k_proj, 0.1, 8)
    return model


def _with_another_attention(model):
    class Another(attention.MultiheadAttention):
        pass

    model.encoder.layers[0].self_attn.__class__ = Another
    return model


@pytest.mark.parametrize("change", [_with_quantisation_noise, _with_another_attention])
def test_a_model_with_parts_of_its_own_is_left_alone(build, change):
    model = change(build())
    classes = [type(module) for module in model.modules()]
    assert not hasten_attention(model)
    assert [type(module) for module in model.modules()] == classes


def test_a_transformer_is_turned_and_another_model_is_not(build):
    model = build()
    assert hasten_attention(model) and not hasten_attention(torch.nn.Linear(2, 2))
    assert type(model.encoder) is Encoder and type(model.decoder) is Decoder
    assert type(model.decoder.layers[0].encoder_attn) is Attention


@pytest.mark.parametrize("length", [1, 16, 21])
def test_rows_of_the_mask_begin_where_kernels_read_them(length):
    padding = torch.arange(length).expand(3, length) < torch.tensor([[0], [0], [length - 1]])
    bias = padding_bias(padding, torch.float16)
    assert bias.shape == padding.shape and bias.stride(0) % 16 == 0
    assert torch.equal(bias == float("-inf"), padding) and not bias[~padding].any()
