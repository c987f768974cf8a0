"""Models whose last step is one matrix, and models whose last step is not known to be."""

import copy

import torch

from mt_ls.plugin.projection import output_projection


def test_a_transformer_ends_with_one_matrix_also_inside_a_wrapper(loaded):
    (model,), _, sample = loaded
    weight = output_projection(model)
    assert weight is model.decoder.output_projection.weight
    assert output_projection(torch.nn.DataParallel(model)) is weight
    with torch.no_grad():
        hidden, logits = (model(**sample["net_input"], features_only=only)[0] for only in (True, False))
    torch.testing.assert_close(hidden @ weight.t(), logits)


def test_a_model_that_ends_otherwise_keeps_its_own_last_step(loaded):
    (model,), _, _ = loaded
    with_bias = copy.deepcopy(model)
    with_bias.decoder.output_projection = torch.nn.Linear(64, 9, bias=True)
    assert output_projection(with_bias) is None


def test_a_model_with_a_forward_of_its_own_keeps_its_last_step(loaded):
    (model,), _, _ = loaded
    other = copy.deepcopy(model)
    other.__class__ = type("Other", (type(model),), {"forward": lambda self, *arguments, **options: None})
    assert output_projection(other) is None
    assert output_projection(torch.nn.Linear(2, 2)) is None


def test_a_sharded_model_must_do_its_last_step_itself(loaded):
    class FullyShardedDataParallel(torch.nn.DataParallel):
        """A wrapper of fairscale's name."""

    (model,), _, _ = loaded
    assert output_projection(FullyShardedDataParallel(model)) is None
