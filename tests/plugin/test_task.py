"""fairseq-train, fairseq-validate and fairseq-generate with the plugin: the commands a user types."""

import json
import re

from conftest import command, logged, run

PRESET = ["--cpu", "--max-tokens", "500", "--beam", "4", "--gen-subset", "test", "--scoring", "sacrebleu"]


def _generate(data, checkpoint, task, *options):
    found = run(
        command(
            "fairseq-generate", data, "--user-dir", "mt_ls", "--task", task, "--path", checkpoint, *PRESET, *options
        )
    )
    assert found.returncode == 0, found.stderr[-2000:]
    return found.stdout + found.stderr


def _hypotheses(text):
    return dict(re.findall(r"^H-(\d+)\t(.*)$", text, re.M))


def test_training_goes_on_after_a_kill(training):
    _folder, killed, again = training
    assert "done training" not in killed
    assert "Loaded checkpoint" in again and "done training" in again
    assert logged(again, "num_updates") == 120
    assert 0 <= logged(again, "ece") <= 1 and logged(again, "token_accuracy") > 0.3


def test_validation_sees_every_sentence(data, checkpoint):
    """The stock task loses the last batch (211 is prime); ours does not, whatever the flags say."""
    found = run(
        command(
            "fairseq-validate",
            data,
            "--user-dir",
            "mt_ls",
            "--task",
            "translation_with_calibration",
            "--path",
            checkpoint,
            "--valid-subset",
            "test",
            "--cpu",
            "--batch-size",
            "50",
            "--required-batch-size-multiple",
            "8",
            "--log-format",
            "json",
        )
    )
    assert found.returncode == 0, found.stderr[-2000:]
    values = json.loads(re.findall(r"\{.*test_ece.*\}", found.stdout + found.stderr)[-1])
    assert 0 < float(values["test_ece"]) < 1 and 0 < float(values["test_confidence"]) < 1


def test_generate_records_every_hypothesis_and_finds_those_of_the_stock_task(data, checkpoint, tmp_path):
    file = tmp_path / "calibration.jsonl"
    options = ["--nbest", "2", "--temperature", "1.3"]
    ours = _generate(data, checkpoint, "translation_with_calibration", *options, "--calibration-records", file)
    stock = _generate(data, checkpoint, "translation", *options)
    found, theirs = _hypotheses(ours), _hypotheses(stock)
    assert len(found) == 211 > len(theirs) > 150
    for sentence, line in theirs.items():
        score, text = line.split("\t")
        our_score, our_text = found[sentence].split("\t")
        assert our_text == text
        assert abs(float(score) - float(our_score)) < 1e-4
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(line["id"], line["rank"]) for line in lines] == [(i, rank) for i in range(211) for rank in range(2)]
    printed = dict(re.findall(r"^P-(\d+)\t(.*)$", ours, re.M))
    for line in lines[1::2]:  # the dictionary of printed lines keeps the last of a sentence: rank 1
        scores = [float(score) for score in printed[str(line["id"])].split()]
        assert len(scores) == len(line["tokens"]) == len(line["entropy"]) == len(line["hit"])
        for p, score, greatest in zip(line["probability"], scores, line["max_probability"], strict=True):
            assert abs(p - 2**score) < 1e-4
            assert p <= greatest + 1e-6
    assert "beam ECE of others" in ours and "beam ECE of eos" in ours and "left out of beam ECE" in ours


def test_a_temperature_of_zero_is_refused(data, checkpoint):
    found = run(
        command(
            "fairseq-generate",
            data,
            "--user-dir",
            "mt_ls",
            "--task",
            "translation_with_calibration",
            "--path",
            checkpoint,
            *PRESET,
            "--temperature",
            "0",
        )
    )
    assert found.returncode != 0 and "a temperature must be greater than 0" in found.stderr
