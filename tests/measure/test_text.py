"""Beam ECE and BLEU from text and probabilities: words from any subwords, TER's judgement, one line for bad input."""

import json
import sys

import pytest
from conftest import run

from mt_ls.measure import text as measure_text
from mt_ls.records import record as records

HYPOTHESES = ["Das Haus ist rot .", "Ein Hund"]
REFERENCES = ["Das Haus war rot .", "Ein Hund läuft"]
TOKENS = [["▁Das", "▁Ha", "us", "▁ist", "▁rot", "▁.", "</s>"], ["ĠEin", "Hu@@", "nd", "</s>"]]


def write(folder, tokens=TOKENS, references=REFERENCES, probability=0.5):
    folder.mkdir(exist_ok=True)
    (folder / "hypotheses.txt").write_text("".join(f"{line}\n" for line in HYPOTHESES))
    (folder / "references.txt").write_text("".join(f"{line}\n" for line in references))
    lines = [
        json.dumps({"sentence": i, "token": token, "probability": probability})
        for i, own in enumerate(tokens)
        for token in own
    ]
    (folder / "tokens.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return folder


def measured(folder, *options):
    return run(
        [sys.executable, "-m", "mt_ls.measure_text", str(folder), "--records", str(folder / "out.jsonl"), *options]
    )


def test_words_are_judged_with_the_product_of_their_tokens(tmp_path):
    record, arrays = measure_text.measure(write(tmp_path / "system"), "test")
    assert (record.n_tokens, record.bins.n, record.bins_by_class["eos"].n) == (9, 7, 2)
    # "Haus" and "Hund" are two tokens of 0.5 each; "ist" alone is wrong, and a word is missing before the second end
    assert record.bins.confidence.sum() == pytest.approx(5 * 0.5 + 2 * 0.25)
    assert record.bins.hits.sum() == 6 and record.bins_by_class["eos"].hits.sum() == 1
    assert arrays["sentence_bins"].sum(0)[0].sum() == 7
    assert record.signature.startswith("ECE|mode:beam|hit:ter|unit:word|split:test")


def test_words_that_a_token_spans_are_certain_after_it():
    words = measure_text._joined("a b", [measure_text.Word("ab", 0.3)])
    assert [word.probability for word in words] == [0.3, 1.0]


def test_the_command_measures_once(tmp_path):
    folder = write(tmp_path / "system")
    for _ in range(2):
        found = measured(folder)
        assert found.returncode == 0 and "7 words judged" in found.stdout, found.stderr
    (record,) = records.read(folder / "out.jsonl")
    assert (folder / record.arrays).is_file() and record.bleu["score"] == pytest.approx(27.89, abs=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokens": [TOKENS[0], ["▁Eine", "</s>"]]}, "tokens of sentence 1 do not spell line 2"),
        ({"tokens": TOKENS[:1]}, "tokens of sentence 1 do not spell line 2"),
        ({"tokens": [*TOKENS, ["▁mehr"]]}, "tokens.jsonl:12: not a token"),
        ({"references": REFERENCES[:1]}, "1 lines for 2"),
        ({"probability": 1.5}, "tokens.jsonl:1: not a token as"),
        ({"probability": float("nan")}, "tokens.jsonl:1: not a token as"),
    ],
)
def test_bad_input_is_one_line(tmp_path, change, message):
    found = measured(write(tmp_path / "system", **change))
    assert found.returncode == 2 and message in found.stderr and len(found.stderr.splitlines()) == 1
    assert not (tmp_path / "system" / "out.jsonl").exists()
    assert not list((tmp_path / "system").glob("*.npz"))
