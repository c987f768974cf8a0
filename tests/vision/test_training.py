"""An update by hand, runs that go on, precision, and distillation."""

import dataclasses
import math

import pytest
import torch
from msgspec.structs import replace
from torch.nn import functional

from mt_ls.records import Teacher, TeacherRun, append, read
from mt_ls.smoothing.kinds import Smoothing
from mt_ls.vision import VisionError, augment, checkpoints
from mt_ls.vision import training as module
from mt_ls.vision.checkpoints import Settings
from mt_ls.vision.distillation import Distillation, distillation_loss, distillation_of
from mt_ls.vision.epochs import Part
from mt_ls.vision.images import Images
from mt_ls.vision.measure import empty_record
from mt_ls.vision.protocols import protocol_of
from mt_ls.vision.training import Training
from mt_ls.vision.updates import Updates
from mt_ls.weights import weights_hash

SETTINGS = Settings(
    network="mlp_16", alpha=0.1, seed=1, updates=4, shape=(3, 8, 8), n_classes=4, data="d" * 64
)  # an epoch of the 250 images is 3 updates of an MLP, 2 of the others
PLACES = torch.arange(20, 60)


def _weights(network):
    return {name: values.clone() for name, values in network.state_dict().items()}


def _step(training, places, rng):
    """The loss of one update on the images at ``places``."""
    protocol, settings = training.protocol, training.settings
    numbers = protocol.draw(len(places), settings.shape, rng)
    factors = torch.tensor([protocol.rate_factor(training.update, settings.updates)], dtype=torch.float64)
    return training.train_on(Part(places.unsqueeze(0), numbers.unsqueeze(0), factors)).item()


def _gradients(training, settings, x, labels):
    """The weights of a training's network, as another network's, and the gradient of its smoothed loss for ``x``."""
    network = settings.build().train()
    network.load_state_dict(training.network.state_dict())
    loss = functional.cross_entropy(network(x), labels, label_smoothing=settings.alpha)
    loss.backward()
    return network, loss.item()


def test_an_update_of_an_mlp_is_one_of_gradient_descent_on_the_smoothed_loss(splits, tmp_path, rng):
    """Torch's own smoothed loss has the paper's convention; momentum with dampening takes the first gradient whole."""
    training = Training(SETTINGS, splits["train"], tmp_path / "checkpoint.pt")
    pixels, labels = splits["train"].pixels[PLACES], splits["train"].labels[PLACES]
    network, loss = _gradients(training, SETTINGS, augment.scaled(pixels), labels)
    assert _step(training, PLACES, rng) == pytest.approx(loss, rel=1e-5)
    for (name, values), updated in zip(network.named_parameters(), training.network.parameters(), strict=True):
        rate = 0.1 if name.startswith("head") else 1.0
        torch.testing.assert_close(updated, values - rate * values.grad, rtol=1e-4, atol=1e-6)


def test_an_alexnet_has_a_scaled_loss_and_decay_of_its_dense_layers(tmp_path, rng):
    data = Images(torch.randint(256, (8, 3, 32, 32), dtype=torch.uint8), torch.arange(8) % 4)
    settings = replace(SETTINGS, network="alexnet", shape=(3, 32, 32))
    training = Training(settings, data, tmp_path / "checkpoint.pt")
    x = augment.DISTORT(data.pixels, augment.DISTORT.draw(8, (3, 32, 32), torch.Generator().manual_seed(1)))
    network, _ = _gradients(training, settings, x, data.labels)
    _step(training, torch.arange(8), rng)
    for name, values in network.named_parameters():
        decay = 0.04 if name in ("body.9.weight", "body.11.weight") else 0.0
        expected = values - 0.1 * (3 * values.grad + decay * values)
        torch.testing.assert_close(training.network.get_parameter(name), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["resnet_8", "resnet_8_t2t"])
def test_a_resnet_has_momentum_decay_and_clipping(splits, tmp_path, rng, name):
    """Nesterov's first step is 1.9 times the gradient. The gradient that is clipped to 1 includes the decay's in
    tensor2tensor's network, of all parameters but the bias; in the others the decay comes after, of weights alone."""
    settings = replace(SETTINGS, network=name)
    training = Training(settings, splits["train"], tmp_path / "checkpoint.pt")
    with torch.no_grad():  # for a decay that matters
        training.network.head.weight *= 1000
    crop, data = augment.CROP_AND_FLIP, splits["train"]
    x = crop(data.pixels[PLACES], crop.draw(len(PLACES), settings.shape, torch.Generator().manual_seed(1)))
    network, _ = _gradients(training, settings, x, data.labels[PLACES])
    is_t2t = name.endswith("t2t")
    parameters = dict(network.named_parameters())
    decays = {n: (n != "head.bias") if is_t2t else n.endswith("weight") for n in parameters}
    decay = {n: 1e-4 * values.detach() * decays[n] for n, values in parameters.items()}
    gradient = {n: 3 * values.grad + (decay[n] if is_t2t else 0) for n, values in parameters.items()}
    norm = torch.cat([values.flatten() for values in gradient.values()]).norm()
    assert norm > 1 and torch.cat([values.flatten() for values in decay.values()]).norm() > 0.02
    _step(training, PLACES, rng)
    for n, values in parameters.items():
        step = gradient[n] / norm + (0 if is_t2t else decay[n])
        torch.testing.assert_close(training.network.get_parameter(n), values - 0.1 * 1.9 * step, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("temperature", [2.0, None])
def test_a_teachers_loss_has_its_part(splits, tmp_path, rng, temperature):
    train = splits["train"]
    torch.manual_seed(5)
    teacher = replace(SETTINGS, network="mlp_8").build().eval()

    def loss(beta):
        distillation = Distillation(teacher, "mlp_8", train, beta, temperature)
        return _step(Training(SETTINGS, train, tmp_path / "checkpoint.pt", distillation), PLACES, rng)

    training = Training(SETTINGS, train, tmp_path / "checkpoint.pt")
    with torch.no_grad():
        logits, targets = (n(augment.scaled(train.pixels[PLACES])) for n in (training.network, teacher))
    if temperature is None:
        taught = 0.5 * functional.mse_loss(logits, targets)
    else:
        taught = functional.cross_entropy(logits, (targets / temperature).softmax(-1))
    assert loss(1.0) == pytest.approx(taught.item(), rel=1e-5)
    assert loss(0.7) == pytest.approx(0.3 * loss(0.0) + 0.7 * loss(1.0), rel=1e-5)
    assert loss(0.0) == pytest.approx(_step(training, PLACES, rng), rel=1e-5)


@pytest.mark.parametrize("network", ["mlp_1200_dropout", "resnet_8"])
def test_a_run_that_was_stopped_goes_on_to_the_same_weights(splits, tmp_path, monkeypatch, network):
    """Shifts, crops, dropout, momentum, batch statistics and the order of images are those of an unbroken run."""
    monkeypatch.setattr(module, "SAVE_AFTER", 0)
    settings = replace(SETTINGS, network=network)
    unbroken = Training(settings, splits["train"], tmp_path / "unbroken" / "checkpoint.pt")
    ends = list(unbroken.epochs())
    file = tmp_path / "stopped" / "checkpoint.pt"
    stopped = Training(settings, splits["train"], file).epochs()
    before, first = next(stopped), next(stopped)
    resumed = Training(settings, splits["train"], file)
    assert [before, first] == ends[:2] and before == 0
    assert resumed.update == first and list(resumed.epochs()) == ends[1:]
    torch.testing.assert_close(_weights(resumed.network), _weights(unbroken.network), rtol=0, atol=0)
    network, _ = checkpoints.trained(file.parent, torch.device("cpu"))
    torch.testing.assert_close(_weights(network), _weights(unbroken.network), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("network", "bf16", "sees"),
    [("mlp_1200_dropout", False, None), ("resnet_8", False, "whole"), ("alexnet", True, "augmented")],
)
def test_recorded_updates_in_blocks_train_as_eager_ones_do(tmp_path, monkeypatch, recorder, network, bf16, sees):
    """As a GPU takes them: images augmented for four updates at once, and one recording for each size of batch.

    Batches have a quarter of the protocol's images: a CPU without bfloat16 takes minutes for whole ones.
    """
    protocol = dataclasses.replace(protocol_of(network), batch=protocol_of(network).batch // 4)
    monkeypatch.setattr(module, "protocol_of", lambda _: protocol)
    rng = torch.Generator().manual_seed(3)
    data = Images(torch.randint(256, (100, 3, 24, 24), generator=rng).to(torch.uint8), torch.arange(100) % 4)
    settings = replace(SETTINGS, network=network, shape=(3, 24, 24), updates=20, bf16=bf16)
    distillation = None
    if sees is not None:
        teacher = replace(SETTINGS, network="resnet_8_t2t", shape=(3, 24, 24)).build().eval()
        distillation = Distillation(teacher, "resnet_8_t2t", data, 0.5, 2.0, sees, bf16)
    eager, recorded = (Training(settings, data, tmp_path / str(i) / "checkpoint.pt", distillation) for i in range(2))
    recorded._n_at_once, recorded._updates = 4, Updates(recorded._update, 4, recorder)
    losses = {training: [] for training in (eager, recorded)}
    for training, of in losses.items():
        mean = training._mean
        training._mean = lambda values, first, mean=mean, of=of: of.extend(values) or mean(values, first)
        list(training.epochs())
    assert recorder.n_recorded == (1 if network.startswith("mlp") else 2) and recorder.n_repeated > 10
    tolerance = 0.05 if bf16 else 1e-3
    torch.testing.assert_close(torch.stack(losses[recorded]), torch.stack(losses[eager]), rtol=tolerance, atol=1e-3)


def test_a_checkpoint_is_written_after_some_time_when_asked_for_and_at_the_end(splits, tmp_path, monkeypatch):
    """An epoch takes a second: with three seconds each, it is the third one. The fourth is asked for, the last the
    end."""
    now = 0.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    monkeypatch.setattr(module, "SAVE_AFTER", 3.0)
    file, saved = tmp_path / "checkpoint.pt", []
    training = Training(replace(SETTINGS, updates=18), splits["train"], file)
    epochs = training.epochs()
    assert next(epochs) == 0
    for epoch in range(1, 7):
        now = float(epoch)
        next(epochs)
        if epoch == 4:
            training.save()
        saved.append(checkpoints.load(file, torch.device("cpu")).update if file.exists() else 0)
    assert saved == [0, 0, 9, 12, 12, 18]


def test_an_epoch_visits_the_images_in_an_order_of_the_seed_and_its_number(splits, tmp_path, monkeypatch):
    """Published numbers depend on these orders."""
    training = Training(replace(SETTINGS, seed=7, updates=6), splits["train"], tmp_path / "checkpoint.pt")
    batches, train_on = [], training.train_on

    def watched(part):
        batches.extend(part.places)
        return train_on(part)

    monkeypatch.setattr(training, "train_on", watched)
    list(training.epochs())
    orders = [torch.randperm(250, generator=torch.Generator().manual_seed(7 * 1_000_003 + epoch)) for epoch in (0, 1)]
    assert [len(places) for places in batches] == [100, 100, 50] * 2
    assert torch.equal(torch.cat(batches), torch.cat(orders))


def test_each_update_has_its_learning_rate(splits, tmp_path):
    """Weights move by the rate times the momentum, which falls in a line over five updates of two epochs."""
    training = Training(replace(SETTINGS, updates=5), splits["train"], tmp_path / "checkpoint.pt")
    factors, update = [], training._updates._update

    def watched(batch):
        before = training.network.head.bias.detach().clone()
        loss = update(batch)
        moved = before - training.network.head.bias.detach()
        factors.append((moved.norm() / training._descent.momentum["head.bias"].norm()).item())
        return loss

    training._updates._update = watched
    list(training.epochs())
    assert factors == pytest.approx([0.1, 0.08, 0.06, 0.04, 0.02], rel=1e-3)


def test_another_seed_gives_other_weights(splits, tmp_path):
    first, second = (
        Training(replace(SETTINGS, seed=seed), splits["train"], tmp_path / "checkpoint.pt") for seed in (1, 2)
    )
    assert not torch.equal(first.network.head.weight, second.network.head.weight)


def test_the_checkpoint_of_another_run_is_refused(splits, tmp_path):
    file = tmp_path / "run" / "checkpoint.pt"
    list(Training(SETTINGS, splits["train"], file).epochs())
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


def test_a_loss_that_is_not_finite_ends_the_run_and_keeps_the_last_checkpoint(splits, tmp_path, monkeypatch):
    """The fifth update, in the middle of the second epoch, is the first with such a loss."""
    file = tmp_path / "run" / "checkpoint.pt"
    training = Training(replace(SETTINGS, updates=9), splits["train"], file)
    epochs = training.epochs()
    assert [next(epochs), next(epochs)] == [0, 3]
    training.save()
    before, update = file.read_bytes(), training._updates._update

    def spoilt(batch):
        if len(losses) == 1:
            with torch.no_grad():
                training.network.head.bias.fill_(math.nan)
        losses.append(update(batch))
        return losses[-1]

    losses = []
    training._updates._update = spoilt
    with pytest.raises(VisionError, match="run: the loss is nan at update 5; the last checkpoint stays"):
        next(epochs)
    assert file.read_bytes() == before and len(losses) == 3


def test_products_in_bfloat16_leave_weights_in_float32(splits, tmp_path):
    settings = replace(SETTINGS, network="resnet_8")
    half, full = (
        Training(replace(settings, bf16=bf16), splits["train"], tmp_path / "checkpoint.pt") for bf16 in (True, False)
    )
    for training in (half, full):
        _step(training, PLACES, torch.Generator().manual_seed(1))
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
    distillation, described, run = distillation_of(teacher, train, "mlp_16", 0.7, 2.0)
    with torch.no_grad():
        logits = distillation.network(augment.standardised(train.pixels[7:9]))
    torch.testing.assert_close(distillation.logits[7:9], logits, rtol=1e-4, atol=1e-5)
    right = (distillation.logits / 2).softmax(1).gather(1, train.labels[:, None]).double()
    assert run.gamma == pytest.approx((1 - right.mean().item()) * 4 / 3, abs=1e-6)
    assert run.run == "teacher" and run.checkpoint == weights_hash(distillation.network.state_dict())
    assert (described.architecture, described.smoothing) == ("resnet_8", Smoothing(amount=0.1))
    assert (described.beta, described.temperature) == (distillation.beta, distillation.temperature) == (0.7, 2.0)


def test_a_teacher_sees_whole_images_or_those_of_its_student(tmp_path, rng):
    """A ResNet's logits of the 24 x 24 crops, distorted and standardised, that its student learns from."""
    data = Images(torch.randint(256, (8, 3, 32, 32), dtype=torch.uint8), torch.arange(8) % 4)
    torch.manual_seed(5)
    teacher = replace(SETTINGS, network="resnet_8_t2t", shape=(3, 32, 32)).build().eval()
    settings = replace(SETTINGS, network="alexnet", shape=(3, 32, 32), alpha=0.0)
    crops = augment.DISTORT(data.pixels, augment.DISTORT.draw(8, (3, 32, 32), torch.Generator().manual_seed(1)))
    losses = {}
    for sees, images in (("whole", augment.standardised(data.pixels)), ("augmented", crops)):
        distillation = Distillation(teacher, "resnet_8_t2t", data, 1.0, 2.0, sees)
        training = Training(settings, data, tmp_path / sees / "checkpoint.pt", distillation)
        with torch.no_grad():
            targets = (teacher(images) / 2).softmax(-1)
            losses[sees] = functional.cross_entropy(training.network(crops), targets).item()
        loss = _step(training, torch.arange(8), torch.Generator().manual_seed(1))
        assert loss == pytest.approx(losses[sees], rel=1e-5)
    assert losses["whole"] != pytest.approx(losses["augmented"], rel=1e-3)


def test_a_teacher_that_cannot_take_its_students_images_is_refused(splits, tmp_path):
    """A fully connected teacher of 32 x 32 pixels, and a student that sees 24 x 24."""
    data = Images(torch.randint(256, (8, 3, 32, 32), dtype=torch.uint8), torch.arange(8) % 4)
    settings = replace(SETTINGS, shape=(3, 32, 32), updates=1)
    training = Training(settings, data, tmp_path / "checkpoint.pt")
    list(training.epochs())
    record = replace(empty_record(training.network, settings, "tiny", "run", 1), split="train")
    append(tmp_path / "records.jsonl", record)
    assert distillation_of(tmp_path, data, "alexnet", 1.0, 1.0)[1].sees == "whole"
    with pytest.raises(VisionError, match="mlp_16 takes no images of 24 x 24 pixels, which alexnet sees; let it see"):
        distillation_of(tmp_path, data, "alexnet", 1.0, 1.0, "augmented")


def test_matched_logits_have_no_gamma(teacher, splits):
    _, described, run = distillation_of(teacher, splits["train"], "mlp_16", 1.0, None)
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
    assert distillation_of(folder, splits["train"], "mlp_16", 1.0, 1.0)[2].gamma == gamma
