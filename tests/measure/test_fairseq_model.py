"""What a checkpoint says of itself, and data that was not made here."""

import datetime
import os
import shutil

import pytest
import torch
from fairseq.data import Dictionary

from mt_ls.measure import fairseq_model as checkpoints
from mt_ls.measure.__main__ import _options
from mt_ls.measure.fairseq_model import Checkpoint, MeasureError, subword_scheme


def _checkpoint(data, checkpoint, *options):
    return Checkpoint(_options([str(data), "--path", str(checkpoint), "--cpu", "--records", "unused", *options]))


@pytest.mark.parametrize(
    ("symbols", "scheme"),
    [(["▁the", "ing"], "sentencepiece"), (["th@@", "e"], "subword_nmt"), (["the", "dog"], "none")],
)
def test_subwords_are_recognised(symbols, scheme):
    dictionary = Dictionary()
    for symbol in symbols:
        dictionary.add_symbol(symbol)
    assert subword_scheme(dictionary) == scheme


def test_windows_hold_every_sentence_once_in_order(data, checkpoint, monkeypatch):
    monkeypatch.setattr(checkpoints, "WINDOW_SENTENCES", 60)
    windows = list(_checkpoint(data, checkpoint, "--batch-size", "7").windows("test"))
    assert [(window.first, window.n) for window in windows] == [(0, 60), (60, 60), (120, 60), (180, 31)]
    for window in windows:
        ids = [i for sample in window.batches for i in sample["id"].tolist()]
        assert sorted(ids) == list(range(window.first, window.first + window.n))
        assert all(len(sample["id"]) <= 7 for sample in window.batches)
        (only,) = window.subset({window.first + 3}).batches
        assert only["id"].tolist() == [window.first + 3]


def test_data_without_text_beside_it_decodes_its_references(data, checkpoint, tmp_path):
    ours = _checkpoint(data, checkpoint)
    shutil.copytree(data, tmp_path / "foreign")
    shutil.rmtree(tmp_path / "foreign" / "text")
    (tmp_path / "foreign" / "manifest.json").unlink()
    foreign = _checkpoint(tmp_path / "foreign", checkpoint)
    assert foreign.references("test") == ours.references("test")
    assert foreign.fields["corpus"] == "foreign" and len(foreign.fields["sha"]["data"]) == 64


def test_a_sentence_that_does_not_fit_is_an_error_and_not_a_gap(data, checkpoint):
    model = _checkpoint(data, checkpoint)
    model.models[0].max_positions = lambda: (8, 1024)  # every source has eight words and EOS
    with pytest.raises(MeasureError, match="test: 211 of 211 sentences are longer than the model's positions"):
        next(model.windows("test"))


class _Foreign:
    """A type that no fairseq checkpoint holds, and whose unpickling does something."""

    def __reduce__(self):
        return os.mkdir, (str(_Foreign.trap),)


@pytest.mark.parametrize(("held", "name"), [(_Foreign(), "posix.mkdir"), (datetime.date(2019, 6, 6), "datetime.date")])
def test_a_checkpoint_with_foreign_types_is_refused_by_name(data, checkpoint, tmp_path, held, name):
    _Foreign.trap = tmp_path / "trap"
    state = torch.load(checkpoint, weights_only=True)
    torch.save({**state, "extra_state": held}, tmp_path / "foreign.pt")
    with pytest.raises(MeasureError, match=rf"foreign\.pt: asks for {name}, .*TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1"):
        _checkpoint(data, tmp_path / "foreign.pt")
    assert not _Foreign.trap.exists()


def test_the_hash_is_that_of_the_weights_whatever_else_the_file_holds(data, checkpoint, tmp_path):
    state = torch.load(checkpoint, weights_only=True)
    torch.save({**state, "last_optimizer_state": None}, tmp_path / "smaller.pt")
    same = _checkpoint(data, tmp_path / "smaller.pt").fields["sha"]["checkpoint"]
    next(iter(state["model"].values()))[0] += 1
    torch.save(state, tmp_path / "other.pt")
    other = _checkpoint(data, tmp_path / "other.pt").fields["sha"]["checkpoint"]
    assert same == _checkpoint(data, checkpoint).fields["sha"]["checkpoint"] != other
