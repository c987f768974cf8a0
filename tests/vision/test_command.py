"""Runs on tiny images: killed at any epoch they end with the same numbers; teachers; bad input."""

import dataclasses
import json
import signal
import subprocess
import sys
import time

import pytest
import torch
from conftest import ROOT

from data_prep.__main__ import main as prepare
from mt_ls.records import record as records
from mt_ls.vision import images, training
from mt_ls.vision import measure as measuring
from mt_ls.vision.__main__ import main
from mt_ls.vision.training import PROTOCOLS, Teacher, protocol_of


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    out = tmp_path_factory.mktemp("data-bin") / "synthetic_images"
    assert prepare(["synthetic_images", "--out", str(out)]) == 0
    return out


PLANE = "pattern 0;pattern 5;pattern 3"


def _arguments(data, run, *options):
    return [str(data), "--network", "resnet_8", "--updates", "15", "--cpu", "--run", str(run), *map(str, options)]


@pytest.fixture(scope="module")
def teacher(data, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "teacher"
    assert (
        main(_arguments(data, run, "--alpha", 0.1, "--information", "pattern 0", "pattern 5", "--planes", PLANE)) == 0
    )
    return run


def _numbers(run):
    """The records without times and what names the run."""
    found = [json.loads(record.to_json()) for record in records.read(run / "records.jsonl")]
    return [{key: value for key, value in one.items() if key not in ("run", "seconds")} for one in found]


def test_the_records_say_what_was_trained_and_measured(teacher):
    found = records.read(teacher / "records.jsonl")
    information = [record for record in found if record.mode == "information"]
    assert [record.updates for record in information] == [5, 10, 15]
    by_split = {
        split: [r for r in found if r.split == split and r.mode == "images"] for split in ("train", "valid", "test")
    }
    assert {split: len(rows) for split, rows in by_split.items()} == {"train": 9, "valid": 14, "test": 14}
    gammas = [record.gamma for record in by_split["train"]]
    assert gammas == sorted(gammas) and 0 < gammas[0] < gammas[-1] < 1
    for record in found:
        assert (record.network, record.alpha, record.seed) == ("resnet_8", 0.1, 1)
    assert by_split["test"][0].fitted_temperature == by_split["valid"][0].fitted_temperature > 0
    assert by_split["valid"][5].geometry.keys() == by_split["train"][2].geometry.keys()
    assert by_split["test"][0].signature.startswith("ECE|mode:images|hit:argmax|unit:image|split:test|")


def test_a_killed_run_goes_on_with_the_same_numbers(data, teacher, tmp_path, monkeypatch):
    run = tmp_path / "teacher"
    command = [
        sys.executable,
        "-m",
        "mt_ls.vision",
        *_arguments(data, run, "--alpha", 0.1, "--information", "pattern 0", "pattern 5", "--planes", PLANE),
    ]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    deadline = time.time() + 120
    while not (run / "checkpoint.pt").exists() and process.poll() is None and time.time() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (run / "records.jsonl").exists() or len(records.read(run / "records.jsonl")) < 30
    assert main(command[3:]) == 0
    assert _numbers(run) == _numbers(teacher)
    monkeypatch.setattr(measuring, "activations", None)
    assert main(command[3:]) == 0, "a third run measures nothing again"
    assert _numbers(run) == _numbers(teacher)


def test_a_student_learns_from_its_teacher_and_says_so(data, teacher, tmp_path):
    run = tmp_path / "student"
    options = ("--network", "alexnet", "--teacher", teacher, "--teacher-temperature", 2)
    assert main(_arguments(data, run, *options)) == 0
    told = records.read(run / "records.jsonl")[0].teacher
    at_two = next(r for r in records.read(teacher / "records.jsonl") if r.temperature == 2 and r.split == "train")
    assert told["gamma"] == at_two.gamma and told["alpha"] == 0.1 and told["network"] == "resnet_8"
    assert told["checkpoint"] == at_two.sha["checkpoint"] and told["beta"] == 1.0


def test_information_recorded_afterwards_hides_no_gamma(data, tmp_path):
    run, short = tmp_path / "teacher", ("--updates", 5)
    assert main(_arguments(data, run, *short)) == 0
    assert main(_arguments(data, run, *short, "--information", "pattern 0", "pattern 5")) == 0
    assert records.read(run / "records.jsonl")[-1].mode == "information"
    assert main(_arguments(data, tmp_path / "student", *short, "--network", "mlp_16", "--teacher", run)) == 0
    assert records.read(tmp_path / "student" / "records.jsonl")[0].teacher["gamma"] > 0


def test_the_two_losses_of_a_student_are_the_papers():
    student, theirs = torch.randn(6, 5), torch.randn(6, 5)
    soft = Teacher(None, "mlp_16", None, 1.0, 4.0).loss(student, theirs)
    torch.testing.assert_close(
        soft, torch.nn.functional.cross_entropy(student, (theirs / 4).softmax(-1), reduction="none")
    )
    squares = Teacher(None, "mlp_16", None, 0.6, None).loss(student, theirs)
    torch.testing.assert_close(squares, 0.5 * ((student - theirs) ** 2).mean(-1))


def test_matching_logits_is_the_limit_of_a_high_temperature():
    """T^2 times the divergence of the two at T = 10 000 (Hinton et al. 2015, section 2.1), for logits of mean 0."""
    student, theirs = torch.randn(2, 6, 5, dtype=torch.float64)
    student, theirs = student - student.mean(-1, keepdim=True), theirs - theirs.mean(-1, keepdim=True)
    ours, soft = (student / 1e4).log_softmax(-1), (theirs / 1e4).log_softmax(-1)
    limit = 1e8 * torch.nn.functional.kl_div(ours, soft, reduction="none", log_target=True).sum(-1)
    torch.testing.assert_close(Teacher(None, "mlp_16", None, 0.6, None).loss(student, theirs), limit, rtol=1e-3, atol=0)


def test_a_teacher_teaches_what_it_says_of_the_whole_image(data, teacher):
    train = images.load(data, "train")
    network, settings = training.trained(teacher, torch.device("cpu"))
    taught = Teacher(network, settings.network, train, 1.0, 2.0).logits
    with torch.no_grad():
        torch.testing.assert_close(taught[7:9], network(images.standardised(train.pixels[7:9])), rtol=1e-4, atol=1e-5)
    right = (taught / 2).softmax(1).gather(1, train.labels[:, None]).double()
    recorded = next(r for r in records.read(teacher / "records.jsonl") if r.temperature == 2 and r.split == "train")
    assert (1 - right.mean().item()) * 10 / 9 == pytest.approx(recorded.gamma, abs=1e-6)


def test_products_in_bfloat16_train_weights_in_float32(data, teacher, tmp_path):
    run = tmp_path / "teacher"
    assert main([*_arguments(data, run, "--alpha", 0.1), "--bf16"]) == 0
    half, full = (torch.load(folder / "checkpoint.pt", weights_only=True)["network"] for folder in (run, teacher))
    assert {values.dtype for values in half.values()} == {values.dtype for values in full.values()}
    change = torch.cat([(half[name] - full[name]).flatten() for name in full if name.endswith("weight")]).norm()
    size = torch.cat([full[name].flatten() for name in full if name.endswith("weight")]).norm()
    assert 0 < change < 0.2 * size
    assert {record.precision for record in records.read(run / "records.jsonl")} == {"bf16"}
    assert {record.precision for record in records.read(teacher / "records.jsonl")} == {None}


def test_rates_fall_as_the_protocols_say():
    alexnet, resnet, mlp = (protocol_of(name) for name in ("alexnet", "resnet_20", "mlp_1200"))
    assert [alexnet.rate_at(u, 390_000) for u in (0, 129_999, 130_000, 260_000)] == pytest.approx([1, 1, 0.1, 0.01])
    assert [resnet.rate_at(u, 64_000) for u in (0, 31_999, 32_000, 48_000)] == pytest.approx([1, 1, 0.1, 0.01])
    assert [mlp.rate_at(u, 1000) for u in (0, 500, 999)] == pytest.approx([1, 0.5, 0.001])
    assert protocol_of("mlp_800").augment is None and mlp.augment == protocol_of("mlp_1200_dropout").augment is not None
    assert alexnet.loss_scale == resnet.loss_scale == 3.0 and mlp.loss_scale == 1.0


def test_bad_input_is_one_line(data, teacher, tmp_path, capsys):
    def line(*arguments):
        assert main([*map(str, arguments)]) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert lines[-1].startswith("mt_ls.vision: error: ") and "Traceback" not in "".join(lines)
        return lines[-1]

    assert "no set of images" in line(*_arguments(tmp_path / "none", tmp_path / "run"))
    assert "no network 'vgg_1'" in line(*_arguments(data, tmp_path / "run", "--network", "vgg_1"))
    assert "a model of another command" in line(*_arguments(data, teacher, "--alpha", 0.2))
    assert "no trained network" in line(*_arguments(data, tmp_path / "run", "--teacher", tmp_path))
    assert "label smoothing must lie in [0, 1)" in line(*_arguments(data, tmp_path / "run", "--alpha", 1.5))
    assert "no class 'cat'" in line(*_arguments(data, tmp_path / "run", "--information", "cat", "pattern 1"))
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "checkpoint.pt").write_bytes((teacher / "checkpoint.pt").read_bytes()[:1000])
    assert "no checkpoint of ours" in line(*_arguments(data, tmp_path / "torn"))


def test_the_network_that_counts_is_the_running_mean_where_a_protocol_averages(data, tmp_path, monkeypatch):
    averaging = {**PROTOCOLS, "resnet": dataclasses.replace(PROTOCOLS["resnet"], average=0.5)}
    monkeypatch.setattr(training, "PROTOCOLS", averaging)
    settings = training.Settings("resnet_8", 0.0, 1, 6, [3, 32, 32], 10, "d")
    one = training.Training(settings, images.load(data, "train"), tmp_path / "checkpoint.pt")
    seen = []
    monkeypatch.setattr(one, "_step", _watched(one, seen))
    list(one.epochs(None))
    expected = seen[0]
    for weights in seen[1:]:
        expected = 0.5 * expected + 0.5 * weights
    torch.testing.assert_close(one.evaluated.head.weight, expected)
    assert not torch.equal(one.evaluated.head.weight, one.network.head.weight)
    torch.testing.assert_close(training.trained(tmp_path, torch.device("cpu"))[0].head.weight, expected)
    again = training.Training(settings, images.load(data, "train"), tmp_path / "checkpoint.pt")
    torch.testing.assert_close(again.evaluated.head.weight, expected)


def _watched(one, seen):
    step = one._step

    def watched(*arguments):
        loss = step(*arguments)
        seen.append(one.network.head.weight.detach().clone())
        return loss

    return watched
