"""The task: stock hypotheses, every sentence, batches of a resumed training, and the file of --calibration-records."""

import json
import re
import shutil

import numpy as np
import pytest
import torch
from commands import command, run, train_command
from fairseq.data import Dictionary

from mt_ls.plugin.hypotheses import TokenProbabilities
from mt_ls.plugin.recording import HypothesisFile, write_open_files

PLUGIN = ["--user-dir", "mt_ls", "--task", "translation_with_calibration"]
PRESET = ["--cpu", "--max-tokens", "500", "--beam", "4", "--gen-subset", "test", "--scoring", "sacrebleu"]


def _validate(data, checkpoint):
    """The finished process of fairseq-validate, and the values that it logs of the test set."""
    options = [*PLUGIN, "--path", checkpoint, "--valid-subset", "test", "--cpu", "--log-format", "json"]
    options += ["--batch-size", "50", "--required-batch-size-multiple", "8"]
    finished = run(command("fairseq-validate", data, *options))
    values = re.findall(r"\{.*test_ece.*\}", finished.stdout + finished.stderr)
    return finished, json.loads(values[-1]) if values else {}


def test_the_stock_task_trains_with_the_criterion_and_validates(train, data, tmp_path, caplog):
    """The log shows calibration, and the model is the one of our task."""
    with caplog.at_level("INFO"):
        _, state = train("stock", "--task", "translation")
    for stage, key in (("train_inner", "ece"), ("train", "train_ece"), ("valid", "valid_ece")):
        values = [json.loads(record.getMessage())[key] for record in caplog.records if record.name == stage]
        assert values and all(0 < float(value) < 1 for value in values)
    _, ours = train("ours")
    assert state["cfg"]["task"]["_name"] == "translation"
    assert all(torch.equal(state["model"][name], ours["model"][name]) for name in ours["model"])
    finished, values = _validate(data, tmp_path / "stock" / "checkpoint_last.pt")
    assert finished.returncode == 0 and 0 < float(values["test_ece"]) < 1, finished.stderr[-2000:]


def _generate(data, checkpoint, task, *options):
    finished = run(
        command(
            "fairseq-generate", data, "--user-dir", "mt_ls", "--task", task, "--path", checkpoint, *PRESET, *options
        )
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    return finished.stdout + finished.stderr


def _hypotheses(text):
    return dict(re.findall(r"^H-(\d+)\t(.*)$", text, re.M))


def test_validation_sees_every_sentence(data, checkpoint):
    """The stock task loses the last batch (211 is prime); this one does not, whatever the flags say."""
    finished, values = _validate(data, checkpoint)
    assert finished.returncode == 0, finished.stderr[-2000:]
    assert 0 < float(values["test_ece"]) < 1 and 0 < float(values["test_confidence"]) < 1
    assert values["test_bsz"] == "211"


@pytest.fixture(scope="module")
def unigram(data, tmp_path_factory):
    """A checkpoint of 12 updates with unigram smoothing, resumed after 6, each of two accumulated batches."""
    folder = tmp_path_factory.mktemp("unigram")
    for updates in (6, 12):
        options = ["--smoothing-kind", "unigram", "--max-tokens", "300", "--update-freq", "2"]
        finished = run(train_command(data, folder, *options, "--max-update", updates))
        assert finished.returncode == 0, finished.stderr[-2000:]
    assert "@ 6 updates" in finished.stdout
    return folder / "checkpoint_last.pt"


def test_unigram_smoothing_is_in_the_checkpoint_and_validates(data, unigram):
    import torch

    import mt_ls.plugin  # noqa: F401

    configuration = torch.load(unigram, weights_only=True)["cfg"]["criterion"]
    assert configuration["smoothing_kind"] == "unigram"
    finished, values = _validate(data, unigram)
    assert finished.returncode == 0, finished.stderr[-2000:]
    assert float(values["test_loss"]) > 0 and 0 < float(values["test_ece"]) < 1


def test_validating_unigram_smoothing_without_the_training_set_ends_with_one_clear_line(data, unigram, tmp_path):
    for file in [*data.glob("dict.*"), *data.glob("test.*")]:
        shutil.copy(file, tmp_path)
    finished, _ = _validate(tmp_path, unigram)
    reason = f"unigram smoothing needs the training targets, and {tmp_path} has no train.en-de.de"
    assert finished.returncode == 1 and "Traceback" not in finished.stdout + finished.stderr
    assert finished.stderr.splitlines()[-1] == f"error: {reason}"


def test_generate_records_every_hypothesis_and_finds_those_of_the_stock_task(data, checkpoint, tmp_path):
    file = tmp_path / "calibration.jsonl"
    options = ["--nbest", "2", "--temperature", "1.3"]
    output = _generate(data, checkpoint, "translation_with_calibration", *options, "--calibration-records", file)
    hypotheses, stock = _hypotheses(output), _hypotheses(_generate(data, checkpoint, "translation", *options))
    assert len(hypotheses) == 211 > len(stock) > 150
    for sentence, line in stock.items():
        stock_score, stock_text = line.split("\t")
        score, text = hypotheses[sentence].split("\t")
        assert text == stock_text
        assert abs(float(score) - float(stock_score)) < 1e-4
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(line["id"], line["rank"]) for line in lines] == [(i, rank) for i in range(211) for rank in range(2)]
    printed = dict(re.findall(r"^P-(\d+)\t(.*)$", output, re.M))
    for line in lines[1::2]:  # the dictionary of printed lines keeps the last of a sentence: rank 1
        scores = [float(score) for score in printed[str(line["id"])].split()]
        assert len(scores) == len(line["tokens"]) == len(line["entropy"]) == len(line["hit"])
        for p, score, greatest in zip(line["probability"], scores, line["max_probability"], strict=True):
            assert abs(p - 2**score) < 1e-4
            assert p <= greatest + 1e-6
    assert "beam ECE of others" in output and "beam ECE of eos" in output and "left out of beam ECE" in output


def test_sentences_from_a_pipe_are_recorded_in_their_order_over_all_buffers(data, checkpoint, tmp_path):
    """fairseq-interactive searches the sentences of a buffer sorted by length, in batches of several."""
    words = (data / "text" / "test.en").read_text().split()
    lengths = [3, 9, 1, 6, 2, 8, 0, 5, 7, 4] * 2
    sentences = [" ".join(words[i : i + n]) for i, n in enumerate(lengths)] + [" ".join(words[:3])]
    path = tmp_path / "records.jsonl"
    options = ["--path", checkpoint, "--cpu", "--beam", "2", "--nbest", "2", "--calibration-records", path]
    options += ["--buffer-size", "8", "--max-tokens", "40", "--bpe", "sentencepiece"]
    options += ["--sentencepiece-model", data / "spm.model", "--max-len-b", "12"]
    finished = run(command("fairseq-interactive", data, *PLUGIN, *options), input="\n".join(sentences) + "\n")
    assert finished.returncode == 0, finished.stderr[-2000:]
    lines = _lines(path)
    assert [(line["id"], line["rank"]) for line in lines] == [(i, rank) for i in range(21) for rank in range(2)]
    printed = re.findall(r"^H-(\d+)\t\S+\t(.*)\nD-.*\nP-\d+\t(.*)$", finished.stdout, re.M)
    assert len(printed) == len(lines) and len({text for _, text, _ in printed}) > 10
    for line, (sentence, text, scores) in zip(lines, printed, strict=True):
        assert line["id"] == int(sentence) and line["tokens"] == [*text.split(), "</s>"]
        np.testing.assert_allclose(line["probability"], 2.0 ** np.array(scores.split(), dtype=float), atol=1e-4)
        assert "hit" not in line
    assert f"calibration of 21 sentences written to {path}" in finished.stdout + finished.stderr


def test_a_temperature_of_zero_is_refused(data, checkpoint):
    finished = run(command("fairseq-generate", data, *PLUGIN, "--path", checkpoint, *PRESET, "--temperature", "0"))
    assert finished.returncode == 1 and "Traceback" not in finished.stdout + finished.stderr
    assert finished.stderr.splitlines()[-1] == "error: a temperature must be greater than 0, not 0"


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
    lengths = map(len, hypotheses)
    statistics = [TokenProbabilities(*torch.full((3, n), 0.5), torch.zeros(4, n)) for n in lengths]
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


def test_a_file_without_a_number_of_sentences_is_written_at_the_end(dictionary, tmp_path):
    path = tmp_path / "records.jsonl"
    file = HypothesisFile(str(path), dictionary)
    for sentence in (1, 0, 2):
        file.add(*_batch(sentence, [4, 2]), 1.0)
    assert not list(tmp_path.iterdir())
    write_open_files()
    assert [line["id"] for line in _lines(path)] == [0, 1, 2]
    path.unlink()
    write_open_files()
    assert not path.exists()


@pytest.mark.parametrize("epoch", [1, 2, 5])
def test_a_training_that_resumes_has_the_batches_of_its_first_epoch(loaded, epoch):
    _, task, _ = loaded
    task.load_dataset("train")
    options = {"max_tokens": 600, "seed": 1, "disable_iterator_cache": True}
    first = task.get_batch_iterator(task.datasets["train"], epoch=1, **options)
    resumed = task.get_batch_iterator(task.datasets["train"], epoch=epoch, **options)
    assert resumed.next_epoch_idx == epoch
    assert len(first.frozen_batches) == len(resumed.frozen_batches) > 1
    assert all(map(np.array_equal, first.frozen_batches, resumed.frozen_batches))
