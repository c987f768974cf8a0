"""The kernel of bins against torch's operators: by Triton's interpreter on a CPU, by the device where there is one."""

import pytest
import torch
from kernels import DEVICE

from mt_ls.calibration import gpu
from mt_ls.calibration.sums import bin_sums

if DEVICE == "cuda":
    pytestmark = pytest.mark.gpu
pytest.importorskip("mt_ls.calibration.bin_kernel", reason="Triton is for Linux")


@pytest.mark.parametrize("n", [0, 1, 1024, 3000])
@pytest.mark.parametrize("n_bins", [15, 40])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
def test_the_sums_are_those_of_torch(n, n_bins, dtype, monkeypatch):
    generator = torch.Generator().manual_seed(n)
    confidence = torch.rand(n, generator=generator).to(DEVICE, dtype)
    confidence[:20] = 1.0  # the last bin is closed
    hit, where = (torch.rand(2, n, generator=generator) < 0.7).to(DEVICE)
    for chosen in (None, where):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(gpu, "serves", lambda values: False)
            expected = bin_sums(confidence.float(), hit, n_bins, chosen)
            patch.setattr(gpu, "serves", lambda values: True)
            sums = bin_sums(confidence, hit, n_bins, chosen)
        assert sums.dtype == torch.float64
        torch.testing.assert_close(sums, expected, rtol=1e-12, atol=1e-12)


def test_a_prediction_that_does_not_count_may_be_nan(monkeypatch):
    monkeypatch.setattr(gpu, "serves", lambda values: True)
    confidence = torch.tensor([0.5, torch.nan], device=DEVICE)
    hit, where = (torch.tensor([True, other], device=DEVICE) for other in (True, False))
    assert bin_sums(confidence, hit, where=where).sum(1).tolist() == [1, 0.5, 1]


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match="3 confidences need as many hits and choices"):
        bin_sums(torch.ones(3), torch.ones(2, dtype=torch.bool))
