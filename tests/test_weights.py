"""The hash of a model's weights, and damage in their file."""

import pytest
import torch

from mt_ls.weights import broken_entry, weights_hash


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "checkpoint.pt"
    torch.save({"weight": torch.arange(5000.0)}, path)
    return path


def test_a_whole_file_has_no_damage(file):
    assert broken_entry(file) is None


@pytest.mark.parametrize("kept", [0.5, 0.99])
def test_a_file_that_is_cut_short_is_damaged(file, kept):
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content))])
    assert broken_entry(file)


def test_a_changed_byte_fails_the_checksum_of_its_entry(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert "data/0 fails its checksum" in broken_entry(file)


def test_the_format_before_2020_has_no_checksums_and_counts_as_whole(tmp_path):
    torch.save({"weight": torch.ones(3)}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert broken_entry(tmp_path / "old.pt") is None


def test_the_hash_is_of_names_and_values_alone():
    model = torch.nn.Linear(3, 2)
    state = model.state_dict()
    copy = {name: values.clone() for name, values in state.items()}
    assert weights_hash(state) == weights_hash(copy) and len(weights_hash(state)) == 64
    copy["bias"][0] += 1
    assert weights_hash(state) != weights_hash(copy)
    assert weights_hash({"a": torch.ones(2)}) != weights_hash({"b": torch.ones(2)})


def test_half_precision_and_memory_order_have_hashes_too():
    values = torch.arange(6.0).view(2, 3)
    assert weights_hash({"w": values.T}) == weights_hash({"w": values.T.contiguous()})
    assert weights_hash({"w": values.bfloat16()}) != weights_hash({"w": values})
