"""The SentencePiece model of both languages: reproducible and lossless."""

import pytest
import sentencepiece

from data_prep import DataError, subwords, synthetic


def test_the_same_text_gives_the_same_model_and_decodes_to_itself(tmp_path):
    lines = [side for pair in synthetic.pairs(300, seed=1) for side in pair]
    for name in ("a", "b"):
        subwords.train(lines, 100, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    processor = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "a"))
    assert processor.get_piece_size() == 100
    for line, pieces in zip(lines, subwords.encode(lines, tmp_path / "a"), strict=True):
        assert processor.decode(pieces.split()) == line


def test_more_pieces_than_the_text_has_are_refused(tmp_path):
    with pytest.raises(DataError, match="--vocab-size 5000 failed"):
        subwords.train([target for _, target in synthetic.pairs(50, seed=1)], 5000, tmp_path / "m")
    assert not (tmp_path / "m").exists()
