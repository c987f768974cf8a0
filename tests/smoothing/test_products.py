"""The product of hidden states and weight, and the names of its precisions."""

import pytest
import torch

from mt_ls.smoothing import cpu
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
