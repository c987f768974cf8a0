"""Rows of logits at a time, for a CPU's cache and for a GPU's memory."""

import pytest

from mt_ls.smoothing.chunks import chunk_rows


@pytest.mark.parametrize(("n_classes", "rows"), [(10, 419430), (8000, 524), (32000, 256), (10**9, 256)])
def test_a_chunk_on_a_cpu_is_16_mb_and_no_less_than_256_rows(n_classes, rows):
    assert chunk_rows(n_classes, "cpu") == rows


def test_a_batch_on_a_gpu_is_one_chunk_within_1_gib_of_float32():
    assert chunk_rows(8000, "cuda") >= 3584 and chunk_rows(32000, "cuda:0") >= 4096
    assert chunk_rows(32000, "cuda") * 32000 * 4 <= 2**30
    assert chunk_rows(2**31, "cuda") == 1
