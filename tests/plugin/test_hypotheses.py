"""Probabilities of hypotheses: one teacher-forced pass, against the search itself."""

import copy
from argparse import Namespace

import pytest
import torch
from fairseq.sequence_generator import EnsembleModel, SequenceGenerator

from mt_ls.plugin.hypotheses import encoder_states, token_probabilities


class RecordingEnsemble(EnsembleModel):
    """An ensemble that records during the search.

    The statistics are extra rows of the attention, which the search reorders with its beams.
    """

    def forward_decoder(self, tokens, encoder_outs, incremental_states, temperature=1.0):
        log_p, attention = super().forward_decoder(tokens, encoder_outs, incremental_states, temperature)
        p = log_p.exp()
        statistics = torch.stack((p.amax(-1), -torch.xlogy(p, p).sum(-1)), dim=1)
        return log_p, torch.cat((attention, statistics), dim=1)


def _jittered(model, seed):
    other = copy.deepcopy(model)
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return other


@pytest.mark.parametrize("temperature", [0.6, 1.0, 1.7])
@pytest.mark.parametrize("n_models", [1, 2])
def test_the_pass_is_what_the_search_saw(loaded, temperature, n_models):
    (model,), task, sample = loaded
    models = [model, _jittered(model, 0)][:n_models]
    search = SequenceGenerator(
        RecordingEnsemble(models), task.target_dictionary, beam_size=5, temperature=temperature, max_len_b=50
    )
    with encoder_states(search) as encoded:
        hypotheses = search.generate(models, sample)
    assert len(encoded) == n_models
    statistics = token_probabilities(models, sample, hypotheses, temperature, encoded)
    assert [len(ranked) for ranked in statistics] == [5] * 211
    for ranked, ranked_statistics in zip(hypotheses, statistics, strict=True):
        for hypothesis, values in zip(ranked, ranked_statistics, strict=True):
            greatest, entropy = hypothesis["attention"][-2:]
            torch.testing.assert_close(values.probability.log(), hypothesis["positional_scores"], atol=2e-5, rtol=1e-5)
            torch.testing.assert_close(values.max_probability, greatest, atol=1e-5, rtol=0)
            torch.testing.assert_close(values.entropy, entropy, atol=5e-5, rtol=0)
            assert (values.probability <= values.max_probability + 1e-6).all()


def test_prefixes_and_one_sentence_at_a_time(loaded):
    models, task, sample = loaded
    generator = task.build_generator(models, Namespace(beam=3))
    prefix = sample["target"][:, :2]
    hypotheses = task.inference_step(generator, models, sample, prefix_tokens=prefix)
    together = token_probabilities(models, sample, hypotheses)
    dataset = task.datasets["test"]
    for i in (0, 7, 210):
        single = dataset.collater([dataset[i]])
        alone = token_probabilities(models, single, [hypotheses[sample["id"].tolist().index(i)]])[0]
        for values, expected in zip(alone, together[sample["id"].tolist().index(i)], strict=True):
            torch.testing.assert_close(values.probability, expected.probability, atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(values.entropy, expected.entropy, atol=1e-4, rtol=1e-4)


def test_temperature_must_be_positive(loaded):
    models, _, sample = loaded
    with pytest.raises(ValueError, match="greater than 0"):
        token_probabilities(models, sample, [], 0.0)


def test_the_encoder_runs_as_before_when_the_block_ends(loaded):
    models, task, sample = loaded
    generator = task.build_generator(models, Namespace(beam=1, max_len_b=3))
    with encoder_states(generator) as states:
        generator.generate(models, sample)
    assert len(states) == 1 and "forward_encoder" not in vars(generator.model)


def test_a_scorer_of_references_has_no_encoder_states():
    with encoder_states(Namespace(model=None)) as states:
        pass
    assert states == []
