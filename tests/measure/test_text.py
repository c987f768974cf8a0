"""Beam ECE and BLEU from text and probabilities: words from any subwords, hits by TER, one line for bad input."""

import json

import numpy as np
import pytest
import sacrebleu
from commands import module, run

from mt_ls.measure import text
from mt_ls.records import Model, read
from mt_ls.records.items import read_items

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


def _main(folder, *options):
    return text.main([str(folder), "--records", str(folder / "out.jsonl"), *options])


def test_the_probability_of_a_word_is_the_product_of_its_tokens(tmp_path):
    record, items = text.measure(write(tmp_path / "system"), "test")
    assert (record.n_tokens, record.bins.n, record.bins_by_class["eos"].n) == (9, 7, 2)
    # "Haus" and "Hund" are two tokens of 0.5 each.
    assert record.bins.confidence.sum() == pytest.approx(5 * 0.5 + 2 * 0.25)
    # "ist" is a miss, and so is the second end: there the reference goes on.
    assert record.bins.hits.sum() == 6 and record.bins_by_class["eos"].hits.sum() == 1
    np.testing.assert_array_equal(items["bins"].sum(axis=2)[:, 0], [5, 2])
    assert record.signature.startswith("ECE|mode:beam|hit:ter|unit:word|split:test|bins:15w|T:1.00|n:7|ck:")


def test_the_model_of_a_text_is_known_by_its_references(tmp_path):
    record, _ = text.measure(write(tmp_path / "system"), "test")
    other, _ = text.measure(write(tmp_path / "other", references=REFERENCES[::-1]), "test")
    assert record.model == Model(corpus=f"references {record.sha['data'][:8]}") != other.model
    assert record.model.smoothing is None and record.seed is None and record.run == "system"


def test_a_word_in_which_no_token_begins_has_probability_1():
    words = text._joined("a b", [text.Word("ab", 0.3)])
    assert [word.probability for word in words] == [0.3, 1.0]


def test_the_command_measures_once(tmp_path):
    folder = write(tmp_path / "system")
    process = run(module("mt_ls.measure_text", folder, "--records", folder / "out.jsonl"))
    assert process.returncode == 0 and "system: 2 sentences, 7 words, BLEU 27.9" in process.stdout, process.stderr
    assert _main(folder) == 0
    (record,) = read(folder / "out.jsonl")
    items = read_items(folder, record)
    assert items.text == HYPOTHESES and items.nll is None
    np.testing.assert_allclose(items.bins.sum(0)[1], record.bins.confidence)
    bleu = sacrebleu.corpus_bleu(HYPOTHESES, [REFERENCES])
    assert record.bleu["score"] == pytest.approx(bleu.score)
    np.testing.assert_array_equal(items.bleu.sum(0), [bleu.sys_len, bleu.ref_len, *bleu.counts, *bleu.totals])


def test_splits_are_records_of_their_own(tmp_path):
    folder = write(tmp_path / "system")
    for split in ("test", "newstest"):
        assert _main(folder, "--split", split) == 0
    assert [record.split for record in read(folder / "out.jsonl")] == ["test", "newstest"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokens": [TOKENS[0], ["▁Eine", "</s>"]]}, "tokens of sentence 1 do not spell line 2"),
        ({"tokens": TOKENS[:1]}, "tokens of sentence 1 do not spell line 2"),
        ({"tokens": [TOKENS[0], [*TOKENS[1], "</s>"]]}, "tokens of sentence 1 do not spell line 2"),
        ({"tokens": [*TOKENS, ["▁mehr"]]}, "tokens.jsonl:12: not a token"),
        ({"references": REFERENCES[:1]}, "1 lines for 2"),
        ({"references": []}, "references.txt: holds no sentence"),
        ({"probability": 1.5}, "tokens.jsonl:1: not a token as"),
        ({"probability": float("nan")}, "tokens.jsonl:1: not a token as"),
        ({"probability": "0.5"}, "tokens.jsonl:1: not a token as"),
    ],
)
def test_bad_input_is_one_line(tmp_path, capsys, change, message):
    assert _main(write(tmp_path / "system", **change)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mt_ls.measure_text: error: ") and message in line
    assert not (tmp_path / "system" / "out.jsonl").exists()
    assert not list((tmp_path / "system").glob("*.parquet"))


def test_a_missing_file_and_a_split_that_is_no_name_are_one_line(tmp_path, capsys):
    folder = write(tmp_path / "system")
    assert _main(folder, "--split", "a/b") == 2
    (folder / "tokens.jsonl").unlink()
    assert _main(folder) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and "tokens.jsonl: cannot be read" in lines[1]
