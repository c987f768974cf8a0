"""BLEU of lower-cased Moses tokens: the tokeniser decides, and case does not."""

import sys

import numpy as np
import pytest
from builders import measurement
from conftest import run

from analysis import rows as table
from analysis import tokenised_bleu
from mt_ls.records.record import append

REFERENCES = ["Ein Mann geht, und ein Hund läuft.", "Zwei Kinder spielen im Park."]


@pytest.fixture
def folder(tmp_path):
    text = "ein MANN geht , und ein Hund läuft .\nZwei Kinder spielen im Garten.\n"
    np.savez(tmp_path / "x.npz", text=np.frombuffer(text.encode(), "u1"))
    append(tmp_path / "records.jsonl", measurement(mode="beam", beam=5, bleu={"score": 1.0}, arrays="x.npz"))
    return tmp_path


def test_case_and_spacing_do_not_count(folder):
    ((_, beam, _, bleu, uncased, score),) = tokenised_bleu.lines(table.load([folder]), REFERENCES, "de")
    assert (beam, bleu, uncased) == ("5", "1.00", "")
    # 15 tokens of which one is wrong: 14/15 unigrams, 11/13 bigrams, 9/11 trigrams, 7/9 four-grams
    assert float(score) == pytest.approx(100 * (14 / 15 * 11 / 13 * 9 / 11 * 7 / 9) ** 0.25, abs=0.01)


def test_references_of_another_set_are_one_line(folder):
    (folder / "test.de").write_text("Nur eine.\n")
    found = run([sys.executable, "-m", "analysis.tokenised_bleu", str(folder), "--references", str(folder / "test.de")])
    assert found.returncode == 2 and "2 hypotheses for 1 references" in found.stderr
    assert len(found.stderr.splitlines()) == 1
