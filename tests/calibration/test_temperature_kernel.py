"""The kernel of many temperatures against torch's operators: by Triton's interpreter on a CPU, by the device else."""

import pytest
import torch
from kernels import DEVICE

from mt_ls.calibration import gpu
from mt_ls.calibration.temperature import at_temperatures

if DEVICE == "cuda":
    pytestmark = pytest.mark.gpu
pytest.importorskip("mt_ls.calibration.temperature_kernel", reason="Triton is for Linux")

NAMES = ("nll", "confidence", "brier", "hit")


def _by_kernel(logits, target, temperatures):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu, "serves", lambda values: True)
        return at_temperatures(logits, target, temperatures)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("temperatures", [[1.0], [0.5, 0.9, 1.0, 1.1, 3.0], [0.1 * i for i in range(1, 18)]], ids=len)
@pytest.mark.parametrize("n_classes", [5, 700, 9000])
def test_it_gives_the_statistics_of_float64(dtype, temperatures, n_classes):
    """9 000 classes are several blocks."""
    generator = torch.Generator().manual_seed(n_classes)
    logits = (4 * torch.randn(30, n_classes, generator=generator)).to(DEVICE, dtype)
    target = torch.randint(n_classes, (30,), generator=generator).to(DEVICE)
    target[:10] = logits[:10].argmax(-1)
    exact = at_temperatures(logits.double(), target, temperatures)
    statistics = _by_kernel(logits, target, temperatures)
    for name in NAMES:
        values, expected = getattr(statistics, name), getattr(exact, name)
        assert values.shape == expected.shape
        torch.testing.assert_close(values, expected.to(values.dtype), rtol=2e-5, atol=1e-5, msg=name)
    assert 10 <= statistics.hit.sum() < 30


def test_a_tie_is_a_hit_and_nan_is_none():
    target = torch.arange(5, device=DEVICE)
    logits = torch.zeros(5, 5, device=DEVICE)
    assert _by_kernel(logits, target, [0.5, 1.0]).hit.all()
    logits[:, 4] = torch.nan
    assert not _by_kernel(logits, target, [0.5, 1.0]).hit.any()


def test_no_prediction_gives_no_statistics():
    nothing = _by_kernel(torch.zeros(0, 5, device=DEVICE), torch.zeros(0, dtype=torch.long, device=DEVICE), [1.0, 2.0])
    assert nothing.nll.shape == (2, 0) and nothing.hit.shape == (0,)


@pytest.mark.gpu
def test_the_device_takes_the_kernel():
    logits, target = torch.randn(2000, 32_001, device="cuda"), torch.randint(32_001, (2000,), device="cuda")
    assert gpu.serves(logits)
    statistics, exact = (at_temperatures(z, target, [0.5, 1.0, 2.0]) for z in (logits, logits.double()))
    for name in NAMES:
        expected = getattr(exact, name).to(getattr(statistics, name).dtype)
        torch.testing.assert_close(getattr(statistics, name), expected, rtol=1e-4, atol=1e-5, msg=name)
