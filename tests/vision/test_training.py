"""An update by hand, runs that go on, running means, precision, and distillation."""

import dataclasses
import math

import pytest
import torch
from msgspec.structs import replace
from torch.nn import functional

from mt_ls.records import Teacher, TeacherRun, append, read
from mt_ls.smoothing.kinds import Smoothing
from mt_ls.vision import VisionError, augment, checkpoints
from mt_ls.vision.checkpoints import Settings
from mt_ls.vision.distillation import Distillation, distillation_loss, distillation_of
from mt_ls.vision.images import Images
from mt_ls.vision.protocols import PROTOCOLS
from mt_ls.vision.training import Training
from mt_ls.weights import weights_hash

SETTINGS = Settings(
    network="mlp_16", alpha=0.1, seed=1, updates=4, shape=(3, 8, 8), n_classes=4, data="d" * 64
)  # an epoch of the 250 images is 3 updates of an MLP, 2 of the others
PLACES = torch.arange(20, 60)


def _weights(network):
    return {name: values.clone() for name, values in network.state_dict().items()}


def test_an_update_of_an_mlp_is_one_of_gradient_descent_on_the_smoothed_loss(splits, tmp_path, rng):
    """Torch's own smoothed loss has the paper's convention; momentum with dampening takes the first gradient whole."""
    training = Training(SETTINGS, splits["train"], tmp_path / "checkpoint.pt")
    network = SETTINGS.build()
    network.load_state_dict(training.network.state_dict())
    pixels, labels = splits["train"].pixels[PLACES], splits["train"].labels[PLACES]
    loss = functional.cross_entropy(network(augment.scaled(pixels)), labels, label_smoothing=0.1)
    loss.backward()
    assert training.step(PLACES, rng) == pytest.approx(loss.item(), rel=1e-5)
    for (name, values), updated in zip(network.named_parameters(), training.network.parameters(), strict=True):
        rate = 0.1 if name.startswith("head") else 1.0
        torch.testing.assert_close(updated, values - rate * values.grad, rtol=1e-4, atol=1e-6)


def test_an_alexnet_has_a_scaled_loss_and_decay_of_its_dense_layers(tmp_path):
    data = Images(torch.randint(256, (8, 3, 32, 32), dtype=torch.uint8), torch.arange(8) % 4)
    settings = replace(SETTINGS, network="alexnet", shape=(3, 32, 32))
    training = Training(settings, data, tmp_path / "checkpoint.pt")
    network = settings.build()
    network.load_state_dict(training.network.state_dict())
    x = augment.distort(data.pixels, torch.Generator().manual_seed(1))
    functional.cross_entropy(network(x), data.labels, label_smoothing=0.1).backward()
    training.step(torch.arange(8), torch.Generator().manual_seed(1))
    for name, values in network.named_parameters():
        decay = 0.04 if name in ("body.9.weight", "body.11.weight") else 0.0
        expected = values - 0.1 * (3 * values.grad + decay * values)
        torch.testing.assert_close(training.network.get_parameter(name), expected, rtol=1e-5, atol=1e-6)


def test_a_resnet_has_momentum_decay_and_clipping(splits, tmp_path, rng):
    settings = replace(SETTINGS, network="resnet_8")
    training = Training(settings, splits["train"], tmp_path / "checkpoint.pt")
    before = _weights(training.network)
    training.step(PLACES, rng)
    gradient = torch.cat([values.grad.flatten() for values in training.network.parameters()])
    assert gradient.norm().item() == pytest.approx(1.0, rel=1e-3)  # clipped
    head, bias = training.network.head.weight, training.network.head.bias
    # Nesterov's first step is 1.9 times the gradient, decay included; biases do not decay
    expected = before["head.weight"] - 0.1 * 1.9 * (head.grad + 1e-4 * before["head.weight"])
    torch.testing.assert_close(head.detach(), expected, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(bias.detach(), before["head.bias"] - 0.1 * 1.9 * bias.grad, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("temperature", [2.0, None])
def test_a_teachers_loss_has_its_part(splits, tmp_path, rng, temperature):
    train = splits["train"]
    torch.manual_seed(5)
    teacher = replace(SETTINGS, network="mlp_8").build().eval()

    def loss(beta):
        distillation = Distillation(teacher, "mlp_8", train, beta, temperature)
        return Training(SETTINGS, train, tmp_path / "checkpoint.pt", distillation).step(PLACES, rng)

    training = Training(SETTINGS, train, tmp_path / "checkpoint.pt")
    with torch.no_grad():
        logits, targets = (n(augment.scaled(train.pixels[PLACES])) for n in (training.network, teacher))
    if temperature is None:
        taught = 0.5 * functional.mse_loss(logits, targets)
    else:
        taught = functional.cross_entropy(logits, (targets / temperature).softmax(-1))
    assert loss(1.0) == pytest.approx(taught.item(), rel=1e-5)
    assert loss(0.7) == pytest.approx(0.3 * loss(0.0) + 0.7 * loss(1.0), rel=1e-5)
    assert loss(0.0) == pytest.approx(training.step(PLACES, rng), rel=1e-5)


@pytest.mark.parametrize("network", ["mlp_1200_dropout", "resnet_8"])
def test_a_run_that_was_stopped_goes_on_to_the_same_weights(splits, tmp_path, network):
    """Shifts, crops, dropout, momentum, batch statistics and the order of images are those of an unbroken run."""
    settings = replace(SETTINGS, network=network)
    unbroken = Training(settings, splits["train"], tmp_path / "unbroken" / "checkpoint.pt")
    ends = list(unbroken.epochs())
    file = tmp_path / "stopped" / "checkpoint.pt"
    first = next(Training(settings, splits["train"], file).epochs())
    resumed = Training(settings, splits["train"], file)
    assert resumed.update == first == ends[0] and list(resumed.epochs()) == ends
    torch.testing.assert_close(_weights(resumed.trained), _weights(unbroken.trained), rtol=0, atol=0)
    network, _ = checkpoints.trained(file.parent, torch.device("cpu"))
    torch.testing.assert_close(_weights(network), _weights(unbroken.trained), rtol=0, atol=0)


def test_an_epoch_visits_the_images_in_an_order_of_the_seed_and_its_number(splits, tmp_path, monkeypatch):
    """Published numbers depend on these orders."""
    training = Training(replace(SETTINGS, seed=7, updates=6), splits["train"], tmp_path / "checkpoint.pt")
    batches, step = [], training.step

    def watched(places, rng):
        batches.append(places)
        return step(places, rng)

    monkeypatch.setattr(training, "step", watched)
    list(training.epochs())
    orders = [torch.randperm(250, generator=torch.Generator().manual_seed(7 * 1_000_003 + epoch)) for epoch in (0, 1)]
    assert [len(places) for places in batches] == [100, 100, 50] * 2
    assert torch.equal(torch.cat(batches), torch.cat(orders))


def test_another_seed_gives_other_weights(splits, tmp_path):
    first, second = (
        Training(replace(SETTINGS, seed=seed), splits["train"], tmp_path / "checkpoint.pt") for seed in (1, 2)
    )
    assert not torch.equal(first.network.head.weight, second.network.head.weight)


def test_the_checkpoint_of_another_run_is_refused(splits, tmp_path):
    file = tmp_path / "run" / "checkpoint.pt"
    next(Training(SETTINGS, splits["train"], file).epochs())
    teacher = Teacher(architecture="mlp_8", smoothing=Smoothing(), temperature=1.0, beta=1.0)
    run = TeacherRun(run="t", checkpoint="c" * 64, gamma=0.1)
    for other in (
        {"alpha": 0.2},
        {"seed": 2},
        {"data": "e" * 64},
        {"updates": 5},
        {"bf16": True},
        {"teacher": teacher, "teacher_run": run},
    ):
        with pytest.raises(VisionError, match=r"the checkpoint of another command or of other data; move .*run away"):
            Training(replace(SETTINGS, **other), splits["train"], file)


def test_the_trained_network_is_the_running_mean_where_the_protocol_has_one(splits, tmp_path, monkeypatch):
    monkeypatch.setitem(PROTOCOLS, "mlp", dataclasses.replace(PROTOCOLS["mlp"], average=0.5))
    training = Training(SETTINGS, splits["train"], tmp_path / "checkpoint.pt")
    heads, step = [], training.step

    def watched(*batch):
        loss = step(*batch)
        heads.append(training.network.head.weight.detach().clone())
        return loss

    monkeypatch.setattr(training, "step", watched)
    list(training.epochs())
    assert len(heads) == 4
    expected = heads[0]
    for head in heads[1:]:
        expected = 0.5 * expected + 0.5 * head
    torch.testing.assert_close(training.trained.head.weight, expected)
    assert not torch.equal(expected, training.network.head.weight)
    torch.testing.assert_close(checkpoints.trained(tmp_path, torch.device("cpu"))[0].head.weight, expected)
    resumed = Training(SETTINGS, splits["train"], tmp_path / "checkpoint.pt")
    torch.testing.assert_close(resumed.trained.head.weight, expected)


def test_a_loss_that_is_not_finite_ends_the_run_and_keeps_the_last_checkpoint(splits, tmp_path):
    file = tmp_path / "run" / "checkpoint.pt"
    training = Training(SETTINGS, splits["train"], file)
    epochs = training.epochs()
    next(epochs)
    before = file.read_bytes()
    with torch.no_grad():
        training.network.head.bias.fill_(math.nan)
    with pytest.raises(VisionError, match="run: the loss is nan at update 4; the checkpoint of the last epoch stays"):
        next(epochs)
    assert file.read_bytes() == before


def test_products_in_bfloat16_leave_weights_in_float32(splits, tmp_path, rng):
    settings = replace(SETTINGS, network="resnet_8")
    half, full = (
        Training(replace(settings, bf16=bf16), splits["train"], tmp_path / "checkpoint.pt") for bf16 in (True, False)
    )
    half.step(PLACES, torch.Generator().manual_seed(1))
    full.step(PLACES, torch.Generator().manual_seed(1))
    assert {values.dtype for values in half.network.parameters()} == {torch.float32}
    names = [name for name, _ in full.network.named_parameters()]
    weights = [torch.cat([t.network.get_parameter(n).flatten() for n in names]) for t in (half, full)]
    assert 0 < (weights[0] - weights[1]).norm() < 0.05 * weights[1].norm()


def test_the_two_losses_are_the_papers():
    logits, teacher_logits = torch.randn(6, 5), torch.randn(6, 5)
    soft = torch.nn.functional.cross_entropy(logits, (teacher_logits / 4).softmax(-1), reduction="none")
    torch.testing.assert_close(distillation_loss(logits, teacher_logits, 4.0), soft)
    squares = 0.5 * ((logits - teacher_logits) ** 2).mean(-1)
    torch.testing.assert_close(distillation_loss(logits, teacher_logits, None), squares)


def test_matching_logits_is_the_limit_of_a_high_temperature():
    """T^2 times the divergence of both networks at T = 10 000 (Hinton et al. 2015, section 2.1)."""
    logits, teacher_logits = torch.randn(2, 6, 5, dtype=torch.float64)
    logits, teacher_logits = (z - z.mean(-1, keepdim=True) for z in (logits, teacher_logits))
    student, teacher = (logits / 1e4).log_softmax(-1), (teacher_logits / 1e4).log_softmax(-1)
    limit = 1e8 * torch.nn.functional.kl_div(student, teacher, reduction="none", log_target=True).sum(-1)
    torch.testing.assert_close(distillation_loss(logits, teacher_logits, None), limit, rtol=1e-3, atol=0)


def test_the_targets_are_of_the_whole_image_and_their_smoothing_is_the_recorded_gamma(teacher, splits):
    train = splits["train"]
    distillation, described, run = distillation_of(teacher, train, 0.7, 2.0)
    with torch.no_grad():
        logits = distillation.network(augment.standardised(train.pixels[7:9]))
    torch.testing.assert_close(distillation.logits[7:9], logits, rtol=1e-4, atol=1e-5)
    right = (distillation.logits / 2).softmax(1).gather(1, train.labels[:, None]).double()
    assert run.gamma == pytest.approx((1 - right.mean().item()) * 4 / 3, abs=1e-6)
    assert run.run == "teacher" and run.checkpoint == weights_hash(distillation.network.state_dict())
    assert (described.architecture, described.smoothing) == ("resnet_8", Smoothing(amount=0.1))
    assert (described.beta, described.temperature) == (distillation.beta, distillation.temperature) == (0.7, 2.0)


def test_matched_logits_have_no_gamma(teacher, splits):
    _, described, run = distillation_of(teacher, splits["train"], 1.0, None)
    assert described.temperature is None and run.gamma is None


def test_gamma_is_that_of_the_teachers_own_weights(teacher, splits, tmp_path):
    folder = tmp_path / "teacher"
    folder.mkdir()
    (folder / "checkpoint.pt").write_bytes((teacher / "checkpoint.pt").read_bytes())
    records = read(teacher / "records.jsonl")
    for record in records:
        append(folder / "records.jsonl", record)
    gamma = next(r.gamma for r in records if (r.split, r.mode, r.temperature) == ("train", "images", 1.0))
    assert gamma is not None and records[0].mode == "information"
    append(
        folder / "records.jsonl",
        replace(records[-1], gamma=0.5, temperature=1.0, sha={**records[-1].sha, "checkpoint": "0" * 64}),
    )
    append(folder / "records.jsonl", replace(records[0], updates=99))
    assert distillation_of(folder, splits["train"], 1.0, 1.0)[2].gamma == gamma
