"""The product of hidden states and weight on each processor, and the rows of logits at a time."""

import pytest
import torch

from mt_ls.smoothing import cpu
from mt_ls.smoothing.chunks import chunk_rows
from mt_ls.smoothing.products import check_products, project


@pytest.mark.parametrize("onednn", [True, False])
def test_logits_are_those_of_the_plain_product_with_and_without_onednn(onednn, monkeypatch):
    if onednn and not cpu._has_onednn():
        pytest.skip("this torch has no oneDNN product")
    monkeypatch.setattr(cpu, "_has_onednn", lambda: onednn)
    hidden, weight = torch.randn(70, 24), torch.randn(90, 24)
    expected = hidden.double() @ weight.double().T
    torch.testing.assert_close(project(hidden, weight).double(), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions_take_the_plain_product(dtype):
    hidden, weight = torch.randn(7, 24, dtype=dtype), torch.randn(9, 24, dtype=dtype)
    assert torch.equal(project(hidden, weight), hidden @ weight.T)


def test_an_unknown_precision_of_products_is_refused():
    with pytest.raises(ValueError, match="unknown precision of products 'int8': choose one of float32, bfloat16"):
        check_products("int8")


def test_bfloat16_products_are_refused_on_a_cpu_without_them(monkeypatch):
    monkeypatch.setattr(cpu, "has_bfloat16", lambda: False)
    with pytest.raises(ValueError, match="bfloat16 products need a CPU"):
        check_products("bfloat16")
    monkeypatch.setattr(cpu, "has_bfloat16", lambda: True)
    assert check_products("bfloat16") == "bfloat16" and check_products("float32") == "float32"


@pytest.mark.parametrize(("n_classes", "rows"), [(10, 419430), (8000, 524), (32000, 256), (10**9, 256)])
def test_a_chunk_on_a_cpu_is_16_mb_and_no_less_than_256_rows(n_classes, rows):
    assert chunk_rows(n_classes, "cpu") == rows


def test_a_batch_on_a_gpu_is_one_chunk_within_1_gib_of_float32():
    assert chunk_rows(8000, "cuda") >= 3584 and chunk_rows(32000, "cuda:0") >= 4096
    assert chunk_rows(32000, "cuda") * 32000 * 4 <= 2**30
    assert chunk_rows(2**31, "cuda") == 1


def test_float32_logits_decide_the_ties_of_rounded_logits():
    """Row 0: the target ties with a class that float32 puts above it. Row 1: no tie. Row 2: a tie in float32 too."""
    weight = torch.tensor([[1.0], [1.001], [0.5], [1.001]])
    hidden, target = torch.ones(3, 1), torch.tensor([0, 2, 1])
    rounded = (hidden @ weight.T).bfloat16().float()
    before, y = rounded.clone(), target.unsqueeze(1)
    ties = cpu.RoundedTies()
    ties.add(0, rounded[:2], y[:2], rounded[:2].gather(1, y[:2]))
    ties.add(2, rounded[2:], y[2:], rounded[2:].gather(1, y[2:]))
    assert torch.equal(rounded, before)
    hit = torch.tensor([True, False, True])
    ties.decide(hit, hidden, weight, target)
    assert hit.tolist() == [False, False, True]


def test_no_rows_have_no_ties():
    hit = torch.empty(0, dtype=torch.bool)
    cpu.RoundedTies().decide(hit, torch.empty(0, 2), torch.ones(3, 2), torch.empty(0, dtype=torch.long))
    assert len(hit) == 0


@pytest.mark.parametrize("probe", [cpu._has_onednn, cpu.has_bfloat16])
def test_a_torch_without_the_private_operators_has_neither_product(probe, monkeypatch):
    monkeypatch.setattr(torch.ops, "mkldnn", object())
    assert probe() is False
