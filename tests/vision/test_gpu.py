"""Training on a GPU: recorded updates beside eager ones, and what a step may not do."""

import math

import pytest
import torch
from msgspec.structs import replace
from torch.nn import functional
from tqdm import tqdm

from mt_ls.vision import VisionError
from mt_ls.vision import training as module
from mt_ls.vision.checkpoints import Settings
from mt_ls.vision.distillation import Distillation
from mt_ls.vision.images import Images
from mt_ls.vision.protocols import protocol_of
from mt_ls.vision.training import N_AT_ONCE, Training
from mt_ls.vision.updates import WARM_UP, Batch, CudaRecorder, Updates

pytestmark = pytest.mark.gpu

N, SHAPE = 600, (3, 32, 32)
SETTINGS = Settings(network="mlp_64", alpha=0.1, seed=1, updates=25, shape=SHAPE, n_classes=4, data="d" * 64)


@pytest.fixture(autouse=True)
def _exact(monkeypatch):
    """Float noise alone tells two trainings apart: no TF32, and convolutions that add up in one order."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)


def _data(device="cuda"):
    """Images of which each class is brighter than the one before."""
    rng = torch.Generator().manual_seed(3)
    labels = torch.randint(4, (N,), generator=rng)
    pixels = torch.randint(100, (N, *SHAPE), generator=rng) + 50 * labels[:, None, None, None]
    return Images(pixels.to(torch.uint8).to(device), labels.to(device))


def _losses(training):
    """The losses of all updates of a training, on the CPU."""
    losses = []
    with tqdm(disable=True) as bar:
        while training.update < training.settings.updates:
            losses.append(training._train_on(training._draw(training.update), bar))
    return torch.cat(losses).cpu()


def _eager(training):
    training._updates = Updates(training._update, N_AT_ONCE)
    return training


@pytest.mark.parametrize(
    ("network", "bf16", "sees"),
    [
        ("mlp_64", False, None),
        ("resnet_8", False, None),
        ("resnet_8_t2t", True, None),
        ("alexnet", False, None),
        ("alexnet", False, "whole"),
        ("alexnet", True, "augmented"),
    ],
)
def test_recorded_updates_train_as_eager_ones_do(tmp_path, network, bf16, sees):
    settings, data, distillation = replace(SETTINGS, network=network, bf16=bf16), _data(), None
    if sees:
        teacher = replace(SETTINGS, network="resnet_8_t2t").build().eval().to("cuda")
        distillation = Distillation(teacher, "resnet_8_t2t", data, 0.5, 2.0, sees, bf16)
    recorded, eager = (Training(settings, data, tmp_path / "checkpoint.pt", distillation) for _ in range(2))
    losses, expected = _losses(recorded), _losses(_eager(eager))
    assert len(recorded._updates._recorded) >= 1
    tolerance = 0.05 if bf16 else 2e-3
    torch.testing.assert_close(losses, expected, rtol=tolerance, atol=tolerance)
    assert expected[-5:].mean() < expected[:5].mean()


def test_a_gpu_trains_as_a_cpu_does(tmp_path):
    """The same weights, images, crops and flips for one seed; without dropout, whose numbers are the device's own."""
    settings = replace(SETTINGS, network="resnet_8", updates=10)
    on_gpu, on_cpu = (Training(settings, _data(d), tmp_path / "checkpoint.pt") for d in ("cuda", "cpu"))
    for first in (0, 5):
        drawn = [training._draw(first) for training in (on_gpu, on_cpu)]
        for values, expected in zip(*(epoch[1:] for epoch in drawn), strict=True):
            assert values.is_cuda and torch.equal(values.cpu(), expected)
    images = [
        protocol_of("resnet_8").training_images(training._data.pixels[epoch.order], epoch.numbers).cpu()
        for training, epoch in zip((on_gpu, on_cpu), drawn, strict=True)
    ]
    torch.testing.assert_close(*images, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(_losses(on_gpu), _losses(on_cpu), rtol=5e-3, atol=5e-3)


@pytest.mark.parametrize("is_eager", [False, True])
@pytest.mark.parametrize("network", ["mlp_1200_dropout", "alexnet", "resnet_8"])
def test_an_update_waits_for_nothing(tmp_path, network, is_eager):
    """After as many epochs as it takes to record the update of each size of batch."""
    training = Training(replace(SETTINGS, network=network), _data(), tmp_path / "checkpoint.pt")
    if is_eager:
        _eager(training)
    with tqdm(disable=True) as bar:
        for _ in range(WARM_UP + 1):
            training._train_on(training._draw(training.update), bar)
        epoch, before = training._draw(training.update), training.update
        torch.cuda.set_sync_debug_mode("error")
        try:
            training._train_on(epoch, bar)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert training.update > before


def test_each_repetition_drops_other_units_and_a_seed_drops_the_same_ones():
    def update(batch):
        return functional.dropout(batch.x, 0.5).double().flatten().mul(weights).sum().float()

    weights = torch.arange(3 * 16 * 16, device="cuda").double()
    batch = Batch(
        *(torch.ones(8, 1, *shape, device="cuda") for shape in ((3, 16, 16), (), ())), torch.ones(8, 1, 0).cuda()
    )
    batch = batch._replace(
        factor=torch.ones(8, device="cuda"), labels=torch.zeros(8, 1, device="cuda", dtype=torch.long)
    )
    updates = Updates(update, 8, CudaRecorder(torch.device("cuda")))
    drawn = []
    for seed in (1, 2, 2):
        torch.manual_seed(seed)
        drawn.append(updates(batch).tolist())
    assert len(set(drawn[0] + drawn[1])) == 16
    assert drawn[2] == drawn[1]


@pytest.mark.parametrize("network", ["mlp_1200_dropout", "resnet_8"])
def test_a_run_that_was_stopped_goes_on_to_the_same_weights(tmp_path, monkeypatch, network):
    """Its first updates after the stop are eager ones, which an unbroken run has recorded."""
    monkeypatch.setattr(module, "SAVE_AFTER", 0)
    settings, data = replace(SETTINGS, network=network), _data()
    unbroken = Training(settings, data, tmp_path / "unbroken" / "checkpoint.pt")
    list(unbroken.epochs())
    file = tmp_path / "stopped" / "checkpoint.pt"
    epochs = Training(settings, data, file).epochs()
    for _ in range(3):
        next(epochs)
    resumed = Training(settings, data, file)
    assert 0 < resumed.update < settings.updates
    list(resumed.epochs())
    for values, expected in zip(resumed.network.parameters(), unbroken.network.parameters(), strict=True):
        torch.testing.assert_close(values, expected, rtol=1e-2, atol=2e-3)


def test_a_loss_that_is_not_finite_is_named_with_its_update(tmp_path):
    """After two epochs a bias is not a number."""
    training = Training(replace(SETTINGS, network="resnet_8"), _data(), tmp_path / "run" / "checkpoint.pt")
    epochs = training.epochs()
    for _ in range(3):
        next(epochs)
    with torch.no_grad():
        training.network.head.bias.fill_(math.nan)
    with pytest.raises(VisionError, match=f"the loss is nan at update {training.update + 1}; the last checkpoint"):
        next(epochs)
