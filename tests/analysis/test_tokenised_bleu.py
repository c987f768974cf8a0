"""BLEU of lower-cased Moses tokens: the tokeniser decides, and case does not."""

import numpy as np
import pytest
from builders import record, write

from analysis import tokenised_bleu
from analysis.rows import load

REFERENCES = ["Ein Mann geht, und ein Hund läuft.", "Zwei Kinder spielen im Park."]


@pytest.fixture
def folder(tmp_path):
    text = ["ein MANN geht , und ein Hund läuft .", "Zwei Kinder spielen im Garten."]
    write(tmp_path, record(mode="beam", beam=5, bleu={"score": 1.0}), bins=np.ones((2, 3, 15)), text=text)
    return tmp_path


def test_case_and_spacing_do_not_count(folder):
    ((_, beam, _, bleu, uncased, score),) = tokenised_bleu.lines(load([folder]), REFERENCES, "de")
    assert (beam, bleu, uncased) == ("5", "1.00", "")
    # 15 tokens of which one is wrong: 14/15 unigrams, 11/13 bigrams, 9/11 trigrams, 7/9 four-grams
    assert float(score) == pytest.approx(100 * (14 / 15 * 11 / 13 * 9 / 11 * 7 / 9) ** 0.25, abs=0.01)


def test_references_of_another_set_are_one_line(folder, capsys):
    (folder / "test.de").write_text("Nur eine.\n")
    assert tokenised_bleu.main([str(folder), "--references", str(folder / "test.de")]) == 2
    error = capsys.readouterr().err
    assert "2 hypotheses for 1 references" in error and len(error.splitlines()) == 1
