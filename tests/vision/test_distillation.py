"""Distillation: the two losses of section 4, and a teacher's targets and description."""

import pytest
import torch
from msgspec.structs import replace

from mt_ls.records import append, read
from mt_ls.smoothing.kinds import Smoothing
from mt_ls.vision import augment
from mt_ls.vision.distillation import distillation_loss, distillation_of
from mt_ls.weights import weights_hash


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
