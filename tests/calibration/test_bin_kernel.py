"""The kernel of bins against torch's operators: by Triton's interpreter on a CPU, by the device where there is one."""

import os

import pytest
import torch

from mt_ls.calibration import gpu
from mt_ls.calibration.sums import bin_sums

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
if DEVICE == "cpu":
    os.environ["TRITON_INTERPRET"] = "1"  # read when Triton is imported
else:
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
