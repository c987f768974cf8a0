"""Beam ECE and BLEU from text and probabilities: words from any subwords, hits by TER, one line for bad input."""

import json

import numpy as np
import pytest
import sacrebleu
from commands import module, run
from translations import HYPOTHESES, REFERENCES, TOKENS, write_translations

from mt_ls.measure import text
from mt_ls.measure.score_check import Token
from mt_ls.measure.translations import FILES, _joined, read_system
from mt_ls.records import Model, read
from mt_ls.records.items import read_items


def _main(folder, *options):
    return text.main([str(folder), "--records", str(folder / "out.jsonl"), *options])


def _measured(folder):
    system = read_system(folder)
    return text.measured(system, text.planned_record(system, "test", folder.name))


def test_the_probability_of_a_word_is_the_product_of_its_tokens(tmp_path):
    record, items = _measured(write_translations(tmp_path / "system"))
    assert (record.n_tokens, record.bins.n, record.bins_by_class["eos"].n) == (9, 7, 2)
    # "Haus" and "Hund" are two tokens of 0.5 each.
    assert record.bins.confidence.sum() == pytest.approx(5 * 0.5 + 2 * 0.25)
    # "ist" is a miss, and so is the second end: there the reference goes on.
    assert record.bins.hits.sum() == 6 and record.bins_by_class["eos"].hits.sum() == 1
    assert record.smooth_ece == pytest.approx(record.bins.ece()) == pytest.approx(3 / 7)  # too low in either bin
    np.testing.assert_array_equal(items["bins"].sum(axis=2)[:, 0], [5, 2])
    assert record.signature.startswith("ECE|mode:beam|hit:ter|unit:word|split:test|bins:15w|T:1.00|n:7|ck:")


def test_the_model_of_a_text_is_known_by_its_references(tmp_path):
    record, _ = _measured(write_translations(tmp_path / "system"))
    other, _ = _measured(write_translations(tmp_path / "other", references=REFERENCES[::-1]))
    assert record.model == Model(corpus=f"references {record.sha['data'][:8]}") != other.model
    assert record.model.smoothing is None and record.seed is None and record.run == "system"


def test_a_word_in_which_no_token_begins_has_probability_1():
    words = _joined("a b", [Token("ab", 0.3)])
    assert [word.probability for word in words] == [0.3, 1.0]


def test_the_command_measures_once(tmp_path):
    folder = write_translations(tmp_path / "system")
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


def test_a_second_call_measures_nothing_and_says_the_same(tmp_path, monkeypatch, capsys):
    folder = write_translations(tmp_path / "system")
    assert _main(folder) == 0
    first, content = capsys.readouterr().out, (folder / "out.jsonl").read_bytes()
    monkeypatch.delattr(text, "measured")
    assert _main(folder) == 0
    assert capsys.readouterr().out == first and (folder / "out.jsonl").read_bytes() == content


def test_splits_are_records_of_their_own(tmp_path):
    folder = write_translations(tmp_path / "system")
    for split in ("test", "newstest"):
        assert _main(folder, "--split", split) == 0
    assert [record.split for record in read(folder / "out.jsonl")] == ["test", "newstest"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokens": [TOKENS[0], ["▁Eine", "</s>"]]}, "tokens of sentence 1 do not spell line 2"),
        ({"tokens": TOKENS[:1]}, "tokens of sentence 1 do not spell line 2"),
        ({"tokens": [TOKENS[0], [*TOKENS[1], "</s>"]]}, "tokens of sentence 1 do not spell line 2"),
        (
            {"tokens": [*TOKENS, ["▁mehr"]]},
            "tokens.jsonl:12: no sentence 2: sentences count from 0, and hypotheses.txt has 2",
        ),
        ({"tokens": [[], *TOKENS]}, "tokens.jsonl:8: no sentence 2: sentences count from 0, and hypotheses.txt has 2"),
        ({"references": REFERENCES[:1]}, "1 lines for 2"),
        ({"references": []}, "references.txt: is empty"),
        ({"references": ["", " "]}, "references.txt: holds no word"),
        ({"probability": 1.5}, "tokens.jsonl:1: not a token as"),
        ({"probability": float("nan")}, "tokens.jsonl:1: not a token as"),
        ({"probability": "0.5"}, "tokens.jsonl:1: not a token as"),
    ],
)
def test_bad_input_is_one_line(tmp_path, capsys, change, message):
    assert _main(write_translations(tmp_path / "system", **change)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mt_ls.measure_text: error: ") and message in line
    assert not (tmp_path / "system" / "out.jsonl").exists()
    assert not list((tmp_path / "system").glob("*.parquet"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tokens.jsonl", "", "tokens.jsonl: is empty"),
        ("tokens.jsonl", "[" * 100_000, "tokens.jsonl:1: not a token as"),
        ("tokens.jsonl", '{"sentence": 0, "token": "a"}', "no 'probability')"),
        ("tokens.jsonl", '{"sentence": 0, "token": null, "probability": 1}', "(token None is no text)"),
        ("tokens.jsonl", '[{"sentence": 0, "token": "a", "probability": 1}]', "(no JSON object)"),
        ("tokens.jsonl", '{"sentence": -1, "token": "a", "probability": 1}', "no sentence -1)"),
        ("hypotheses.txt", "", "hypotheses.txt: is empty"),
        ("hypotheses.txt", "\ufeff", "hypotheses.txt: is empty"),
        ("hypotheses.txt", "\n\n", "the tokens of sentence 0 do not spell line 1 of hypotheses.txt"),
    ],
)
def test_a_file_that_is_none_is_one_line(tmp_path, capsys, name, content, message):
    folder = write_translations(tmp_path / "system")
    (folder / name).write_text(content)
    assert _main(folder) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mt_ls.measure_text: error: ") and name in line
    assert message in line and not (folder / "out.jsonl").exists()


def test_translations_without_a_word_are_refused(tmp_path, capsys):
    folder = write_translations(tmp_path / "system")
    (folder / "hypotheses.txt").write_text("\n\n")
    tokens = [{"sentence": i, "token": "</s>", "probability": 0.5} for i in range(2)]
    (folder / "tokens.jsonl").write_text("".join(f"{json.dumps(token)}\n" for token in tokens))
    assert _main(folder) == 2 and "hypotheses.txt: holds no word" in capsys.readouterr().err


def test_files_of_other_editors_are_the_same_translations(tmp_path):
    """A byte order mark, the line ends of Windows, no line end in the last line, and sentences in another order."""
    folder, other = (write_translations(tmp_path / name) for name in ("system", "other"))
    for name in FILES:
        content = (folder / name).read_text()
        (other / name).write_text("\ufeff" + content.removesuffix("\n"), encoding="utf-8", newline="\r\n")
    lines = (folder / "tokens.jsonl").read_text().splitlines(keepends=True)
    (other / "tokens.jsonl").write_text("".join(sorted(lines, key=lambda line: '"sentence": 0' in line)))
    first, second = _measured(folder), _measured(other)
    assert first[0].sha["data"] == second[0].sha["data"] and first[0].model == second[0].model
    assert first[0].bleu == second[0].bleu and first[1]["text"] == second[1]["text"]
    np.testing.assert_array_equal(first[0].bins.confidence, second[0].bins.confidence)
    np.testing.assert_array_equal(first[1]["bins"], second[1]["bins"])


def test_a_carriage_return_inside_a_line_is_a_space(tmp_path):
    folder = write_translations(tmp_path / "system")
    (folder / "hypotheses.txt").write_text("Das Haus\rist rot .\nEin Hund\n")
    record, _ = _measured(folder)
    assert record.n_sentences == 2 and record.bins.n == 7


@pytest.mark.parametrize("split", ["a/b", "", "a\nb"])
def test_a_split_that_is_no_name_is_one_line(tmp_path, capsys, split):
    assert _main(write_translations(tmp_path / "system"), "--split", split) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{split!r} is no name of a split" in line
    assert sorted(path.name for path in (tmp_path / "system").iterdir()) == sorted(FILES)


def test_a_missing_file_is_one_line(tmp_path, capsys):
    folder = write_translations(tmp_path / "system")
    (folder / "tokens.jsonl").unlink()
    assert _main(folder) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "tokens.jsonl: cannot be read" in line


def test_help_says_what_the_files_hold(capsys):
    with pytest.raises(SystemExit):
        text.main(["--help"])
    output = capsys.readouterr().out
    for name in FILES:
        assert f"    {name} " in output
    assert '{"sentence": 0, "token": "▁Haus", "probability": 0.83}' in output and "count from 0" in output
