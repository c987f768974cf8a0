"""Whose last step is one matrix, and whose is not known to be."""

import copy

import torch

from mt_ls.plugin.projection import output_projection


def test_a_transformer_ends_with_one_matrix_also_inside_a_wrapper(loaded):
    (model,), _, sample = loaded
    weight = output_projection(model)
    assert weight is model.decoder.output_projection.weight
    assert output_projection(torch.nn.DataParallel(model)) is weight
    with torch.no_grad():
        features, logits = (model(**sample["net_input"], features_only=only)[0] for only in (True, False))
    torch.testing.assert_close(features @ weight.t(), logits)


def test_a_model_that_ends_otherwise_keeps_its_own_last_step(loaded):
    (model,), _, _ = loaded
    with_bias = copy.deepcopy(model)
    with_bias.decoder.output_projection = torch.nn.Linear(64, 9, bias=True)
    assert output_projection(with_bias) is None
