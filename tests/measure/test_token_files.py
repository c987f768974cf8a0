"""Token probabilities in the files of other systems, and the check that they belong to their tokens."""

import json
import math
import re

import pytest
from translations import HYPOTHESES, TOKENS, write_generated, write_translations

from mt_ls.measure import text
from mt_ls.measure.score_check import END
from mt_ls.measure.token_files import PATTERNS, read_tokens, token_file
from mt_ls.measure.translations import read_system
from mt_ls.records import RecordError

LOGS = [[-0.1 * (i + 1) for i in range(len(own))] for own in TOKENS]


def of_fairseq(logs=LOGS, score=None, tokens=TOKENS):
    """Lines of fairseq-generate, in base 2 and not in the order of the sentences; a second hypothesis of each."""
    lines = ["INFO | something"]
    for i in reversed(range(len(tokens))):
        scores = [log / math.log(2) for log in logs[i]]
        mean = sum(scores) / len(scores) if score is None else score
        for shift in (0.0, 1.0):
            lines += [
                f"H-{i}\t{mean - shift}\t{' '.join(tokens[i][:-1])}",
                f"P-{i}\t{' '.join(f'{value - shift:.4f}' for value in scores)}",
            ]
    return "\n".join(lines) + "\n"


def of_marian(logs=LOGS, total=None):
    return "".join(
        f"{i} ||| {' '.join(TOKENS[i][:-1])} ||| WordScores= {' '.join(map(str, own))} "
        f"||| F0= {sum(own) if total is None else total} ||| {sum(own) / len(own)}\n"
        for i, own in enumerate(logs)
    )


def of_silnlp(logs=LOGS, score=None):
    lines = ["Sequence Number\tToken 0", "Sequence Score\tToken Score 0"]
    for i, own in enumerate(logs):
        mean = sum(own) / len(own) if score is None else score
        lines += [f"{i}\t" + "\t".join(TOKENS[i]), "\t".join(str(math.exp(value)) for value in (mean, *own))]
    return "\n".join(lines) + "\n"


FORMS = {"generate-test.txt": of_fairseq, "marian.nbest.txt": of_marian, "out.txt.confidences.tsv": of_silnlp}


def write(folder, name, content):
    write_translations(folder)
    (folder / "tokens.jsonl").unlink()
    (folder / name).write_text(content)
    return folder


@pytest.mark.parametrize("name", FORMS)
def test_the_tokens_and_their_probabilities_are_read(name, tmp_path):
    folder = write(tmp_path / "system", name, FORMS[name]())
    path = token_file(folder)
    assert path.name == name
    tokens = read_tokens(path, 2)
    assert [[token.text for token in own.tokens] for own in tokens] == TOKENS
    for own, logs in zip(tokens, LOGS, strict=True):
        assert [token.probability for token in own.tokens] == pytest.approx([math.exp(log) for log in logs], rel=1e-3)


@pytest.mark.parametrize("name", FORMS)
def test_a_system_is_measured_as_from_our_own_file(name, tmp_path):
    ours = write_translations(tmp_path / "ours")
    lines = [
        json.dumps({"sentence": i, "token": token, "probability": math.exp(log)})
        for i, own in enumerate(TOKENS)
        for token, log in zip(own, LOGS[i], strict=True)
    ]
    (ours / "tokens.jsonl").write_text("\n".join(lines) + "\n")
    theirs = write(tmp_path / "theirs", name, FORMS[name]())
    first, second = (
        text.measure(read_system(folder), "test", tmp_path / f"{folder.name}.jsonl") for folder in (ours, theirs)
    )
    assert second.bins.confidence.sum() == pytest.approx(first.bins.confidence.sum(), rel=1e-3)
    assert (second.bins.hits == first.bins.hits).all() and second.bleu == first.bleu


def test_fairseq_generate_itself_is_read(data, checkpoint, tmp_path):
    folder = tmp_path / "system"
    found = write_generated(folder, data, checkpoint, "test")
    n = len(found["H"])
    system = read_system(folder)
    assert n > 200 and system.words[7][-1].text == END
    scores = [float(score) for score in found["P"]["7"].split()]
    product = math.prod(word.probability for word in system.words[7])
    assert product == pytest.approx(2 ** sum(scores), rel=1e-3)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("generate-test.txt", of_fairseq(score=-9.0), "the probabilities do not belong to these tokens (in sentence"),
        ("marian.txt", of_marian(total=-20.0), "the probabilities do not belong to these tokens (in sentence"),
        ("x.confidences.tsv", of_silnlp(score=-0.01), "do not belong to these tokens (in sentence"),
        ("generate-test.txt", of_fairseq(tokens=[["a b", "x"], ["c", "x"]]), "run fairseq-generate without"),
        ("generate-test.txt", "H-0\tx\ty\n", ":1: not an H or a P line"),
        ("generate-test.txt", "P-0\t-1\n", ":1: not an H or a P line"),
        ("generate-test.txt", "nothing\n", "has no hypothesis of sentence 0"),
        ("marian.txt", "0 ||| a\n", ":1: not a line id ||| text ||| WordScores= ... ||| F0= ... of marian-decoder"),
        ("marian.txt", "7 ||| a ||| WordScores= -1 -1 ||| F0= -2 ||| -1\n", ":1: no sentence 7"),
        ("marian.txt", "0 ||| a ||| WordScores= 1 -1 ||| F0= -2 ||| -1\n", "a score above 0 is no log-probability"),
        ("x.confidences.tsv", "a\nb\nc\n", "1 lines after the heading, and 2 hypotheses need two each"),
        ("x.confidences.tsv", "a\nb\n0\tx\n0.5\n1\ty\n0.5\t0.5\n", ":4: 0 probabilities for the 1 tokens above"),
        ("x.confidences.tsv", "a\nb\n0\tx\n0.5\tz\n1\ty\n0.5\t0.5\n", ":4: not the probabilities of a sentence"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(name, content, reason, tmp_path, capsys):
    folder = write(tmp_path / "system", name, content)
    status = text.main([str(folder), "--records", str(tmp_path / "records.jsonl")])
    error = capsys.readouterr().err
    assert status == 2 and error.count("\n") == 1 and not (tmp_path / "records.jsonl").exists()
    assert reason in error


@pytest.mark.parametrize(
    ("logs", "fault"),
    [
        ([[log / math.log(2) for log in own] for own in LOGS], "the scores of tokens are logarithms of base 2, not"),
        ([[log / math.log(10) for log in own] for own in LOGS], "the scores of tokens are logarithms of base 10, not"),
        ([[log / len(own) for log in own] for own in LOGS], "are divided by the length of their sentence already"),
        ([own[:-1] for own in LOGS], "the score of </s> is missing: the scores of sentences count it"),
        ([[2 * log for log in own] for own in LOGS], "the probabilities do not belong to these tokens"),
    ],
)
def test_a_fault_of_scores_is_named_with_its_evidence(tmp_path, logs, fault):
    """The score of each sentence is right."""
    rows = of_marian(logs=logs).splitlines()
    for i, own in enumerate(LOGS):
        rows[i] = rows[i].replace(f"F0= {sum(logs[i])}", f"F0= {sum(own)}")
    folder = write(tmp_path / "system", "marian.txt", "\n".join(rows) + "\n")
    with pytest.raises(RecordError, match=re.escape(fault)) as error:
        read_tokens(token_file(folder), 2)
    evidence = (
        f"in sentence 0 the log-probabilities of {len(logs[0])} tokens have the sum {sum(logs[0]):.3f} and the mean "
        f"{sum(logs[0]) / len(logs[0]):.3f}, and its score is {sum(LOGS[0]):.3f}; 2 of 2 sentences disagree"
    )
    assert evidence in str(error.value) and "\n" not in str(error.value)


def test_two_files_of_tokens_are_refused(tmp_path):
    folder = write_translations(tmp_path / "system")
    (folder / "generate-test.txt").write_text(of_fairseq())
    with pytest.raises(RecordError, match=r"has generate-test\.txt and tokens\.jsonl: keep one of them"):
        token_file(folder)
    assert len(PATTERNS) == 4 and len(HYPOTHESES) == 2
