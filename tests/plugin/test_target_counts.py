"""Token counts of the training targets, from files as fairseq-preprocess writes them."""

from argparse import Namespace

import pytest
import torch
from fairseq.data import Dictionary, indexed_dataset
from fairseq.tasks.translation import TranslationTask

from mt_ls.plugin import target_counts as module
from mt_ls.plugin.target_counts import target_counts

# Entries 0 to 3 are <s>, <pad>, </s> and <unk>.
WORDS = ["a", "b", "c", "d"]
EOS, A, B = 2, 4, 5


@pytest.fixture
def folder(tmp_path):
    """A folder of data whose source side holds other tokens than its target side."""
    _write(tmp_path, "train.de-en.en", [[A, A, EOS], [B, EOS]])
    _write(tmp_path, "train.de-en.de", [[7, 7, 7, EOS]])
    _write(tmp_path, "valid.de-en.en", [[6, EOS]])
    return tmp_path


def _write(folder, name, sentences, impl="mmap"):
    builder = indexed_dataset.make_builder(str(folder / f"{name}.bin"), impl, vocab_size=8)
    for sentence in sentences:
        builder.add_item(torch.tensor(sentence))
    builder.finalize(str(folder / f"{name}.idx"))


def _task(*folders, source="de", target="en"):
    dictionary = Dictionary()
    for word in WORDS:
        dictionary.add_symbol(word)
    data = ":".join(map(str, folders))
    return TranslationTask(
        Namespace(data=data, source_lang=source, target_lang=target, dataset_impl=None), dictionary, dictionary
    )


def test_targets_count_with_their_eos_and_no_other_file_does(folder):
    assert target_counts(_task(folder)).tolist() == [0, 0, 2, 0, 2, 1, 0, 0]


def test_a_large_file_is_counted_in_pieces(folder, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK_TOKENS", 2)
    assert target_counts(_task(folder)).tolist() == [0, 0, 2, 0, 2, 1, 0, 0]


def test_all_parts_and_all_folders_count(folder, tmp_path_factory):
    _write(folder, "train1.de-en.en", [[B, EOS]])
    _write(folder, "train3.de-en.en", [[7, EOS]])  # no train2 before it: fairseq stops at a gap
    shard = tmp_path_factory.mktemp("shard")
    _write(shard, "train.de-en.en", [[A, B, B, EOS]])
    assert target_counts(_task(folder, shard)).tolist() == [0, 0, 4, 0, 3, 4, 0, 0]


def test_the_pair_may_be_named_the_other_way_round(folder):
    assert target_counts(_task(folder, source="en", target="de")).tolist() == [0, 0, 1, 0, 0, 0, 0, 3]


def test_another_subset_can_be_the_training_set(folder):
    assert target_counts(_task(folder), "valid").tolist() == [0, 0, 1, 0, 0, 0, 1, 0]


def test_the_older_format_of_fairseq_counts_too(tmp_path):
    _write(tmp_path, "train.de-en.en", [[A, A, EOS], [B, EOS]], impl="cached")
    assert indexed_dataset.infer_dataset_impl(str(tmp_path / "train.de-en.en")) == "cached"
    assert target_counts(_task(tmp_path)).tolist() == [0, 0, 2, 0, 2, 1, 0, 0]


def test_pad_never_counts(tmp_path):
    _write(tmp_path, "train.de-en.en", [[A, 1, 1, EOS]])
    assert target_counts(_task(tmp_path)).tolist() == [0, 0, 1, 0, 1, 0, 0, 0]


def test_bad_cases_are_one_line(folder, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    _write(folder, "train1.de-en.en", [[9, EOS]])
    cases = [
        (_task(empty), f"unigram smoothing needs the training targets, and {empty} has no train.de-en.en"),
        (_task(folder), r"train1.de-en.en has token 9, and its dictionary 8 entries"),
        (Namespace(), "unigram smoothing needs a translation task, not Namespace"),
    ]
    for task, message in cases:
        with pytest.raises(ValueError, match=message) as error:
            target_counts(task)
        assert len(str(error.value).splitlines()) == 1
