"""The file of --calibration-records, from made hypotheses."""

import json

import pytest
import torch
from fairseq.data import Dictionary

from mt_ls.plugin.hypotheses import TokenProbabilities
from mt_ls.plugin.recording import HypothesisFile


@pytest.fixture
def dictionary():
    dictionary = Dictionary()
    for word in ("a", "b"):
        dictionary.add_symbol(word)
    return dictionary


def _batch(sentence, *hypotheses, target=None):
    """A batch of one sentence: its sample, its ranked hypotheses, and their statistics."""
    sample = {"id": torch.tensor([sentence])}
    if target is not None:
        sample["target"] = torch.tensor([target])
    ranked = [{"tokens": torch.tensor(tokens)} for tokens in hypotheses]
    statistics = [TokenProbabilities(*torch.full((3, len(tokens)), 0.5)) for tokens in hypotheses]
    return sample, [ranked], [statistics]


def _lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_file_appears_with_its_last_sentence_in_the_order_of_sentences_and_ranks(dictionary, tmp_path):
    path = tmp_path / "records.jsonl"
    file = HypothesisFile(str(path), dictionary, n_sentences=2)
    file.add(*_batch(1, [4, 2], [5, 2]), 1.3)
    assert not list(tmp_path.iterdir())
    file.add(*_batch(0, [4, 5, 2]), 1.3)
    lines = _lines(path)
    assert [(line["id"], line["rank"], line["tokens"]) for line in lines] == [
        (0, 0, ["a", "b", "</s>"]),
        (1, 0, ["a", "</s>"]),
        (1, 1, ["b", "</s>"]),
    ]
    assert lines[0]["probability"] == [0.5] * 3 and lines[0]["temperature"] == 1.3
    assert "hit" not in lines[0]


def test_hits_come_from_the_alignment_and_beam_ece_of_the_best_hypotheses_is_logged(dictionary, tmp_path, caplog):
    path = tmp_path / "records.jsonl"
    file = HypothesisFile(str(path), dictionary, n_sentences=1)
    with caplog.at_level("INFO"):
        file.add(*_batch(0, [4, 5, 2], [5, 2], target=[4, 4, 2, 1]), 1.0)
    assert _lines(path)[0]["hit"] == [True, False, True]
    assert "beam ECE of others: 0.0000 (tokens 2, confidence 0.5000, hits 0.5000)" in caplog.text
    assert "beam ECE of eos: 0.5000 (tokens 1," in caplog.text
    assert "tokens left out of beam ECE (shifted): 0" in caplog.text
