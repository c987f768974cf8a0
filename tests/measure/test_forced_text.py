"""Forced mode from a file: the numbers of the same tokens from a model, and wrong lines, each with one message."""

import json

import pytest

from mt_ls.measure import forced_text, text
from mt_ls.measure.fairseq_model import FairseqModel
from mt_ls.measure.plan import Plan, measure
from mt_ls.measure.translations import read_system
from mt_ls.records import RecordError, read

LINE = {"sentence": 0, "nll": 0.51, "confidence": 0.6, "hit": True}


def folder_of(tmp_path, lines, n=1):
    folder = tmp_path / "system"
    folder.mkdir(exist_ok=True)
    (folder / "hypotheses.txt").write_text("ja\n" * n)
    (folder / "references.txt").write_text("ja\n" * n)
    tokens = [json.dumps({"sentence": i, "token": "ja", "probability": 0.5}) for i in range(n)]
    (folder / "tokens.jsonl").write_text("\n".join(tokens) + "\n")
    (folder / "forced.jsonl").write_text(
        "".join(f"{json.dumps(line) if isinstance(line, dict) else line}\n" for line in lines)
    )
    return folder


def test_the_tokens_of_a_model_give_the_record_of_the_model(data, checkpoint, tmp_path):
    import pyarrow.parquet

    records = tmp_path / "model" / "records.jsonl"
    records.parent.mkdir()
    measure(FairseqModel(checkpoint, data), Plan(modes=("forced",), fit_split=None), records)
    (own,) = read(records)
    rows = pyarrow.parquet.read_table(records.with_name(own.items)).to_pylist()
    lines = [
        {"sentence": row["item"], "nll": nll, "confidence": confidence, "hit": hit}
        for row in rows
        for nll, confidence, hit in zip(row["token_nll"], row["token_confidence"], row["token_hit"], strict=True)
    ]
    folder = folder_of(tmp_path, lines, own.n_sentences)
    out = tmp_path / "records.jsonl"
    system = read_system(folder)
    text.measure(system, "test", out)
    text.measure(system, "test", out)  # measures nothing twice
    (beam, forced) = read(out)
    assert (beam.mode, forced.mode) == ("beam", "forced")
    assert forced.nll == pytest.approx(own.nll, rel=1e-6) and forced.bins.ece() == pytest.approx(
        own.bins.ece(), abs=1e-6
    )
    assert forced.n_tokens == own.n_tokens and forced.accuracy == own.accuracy and forced.brier is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sentence": 1}, "no sentence 1 of 1"),
        ({"sentence": True}, "no sentence True"),
        ({"nll": -1}, "nll -1 is no number of nats"),
        ({"nll": "a"}, "nll 'a'"),
        ({"confidence": 0}, "confidence 0 is no number above 0"),
        ({"confidence": 1.5}, "confidence 1.5"),
        ({"hit": 1}, "hit 1 is neither true nor false"),
        ({"nll": 0.737}, "the NLL of a hit is -ln of the confidence, 0.511"),  # in bits
        ({"hit": False, "nll": 0.3}, "the NLL of a token is at least -ln of the confidence"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, change, words):
    folder = folder_of(tmp_path, [LINE, {**LINE, **change}])
    with pytest.raises(RecordError, match=rf"forced.jsonl:2: .*{words}"):
        read_system(folder)


@pytest.mark.parametrize(
    ("lines", "words"), [(["{"], "jsonl:1"), (["[]"], "no JSON object"), (['{"nll": 1}'], "no 'sentence'")]
)
def test_what_is_no_token_is_named(tmp_path, lines, words):
    with pytest.raises(RecordError, match=words):
        read_system(folder_of(tmp_path, lines))


def test_each_sentence_needs_a_token(tmp_path):
    with pytest.raises(RecordError, match="no token of sentence 1: every sentence counts"):
        forced_text.read_forced(folder_of(tmp_path, [LINE]) / "forced.jsonl", 2)
    statistics, sentence = forced_text.read_forced(folder_of(tmp_path, [LINE]) / "forced.jsonl", 1)
    assert statistics.nll.tolist() == [0.51] and sentence.tolist() == [0]
