"""The command on tiny images: its records, a run that is killed, students, and bad input in one line."""

import contextlib
import io
import os
import subprocess
import sys

import pytest
from conftest import ROOT
from msgspec.structs import replace

from mt_ls.records import Teacher, read
from mt_ls.smoothing.kinds import Smoothing
from mt_ls.vision import training
from mt_ls.vision.__main__ import main
from mt_ls.vision.training import Training


def test_the_records_say_what_was_trained_and_measured(teacher):
    records = read(teacher / "records.jsonl")
    assert [r.updates for r in records if r.mode == "information"] == [0, 2, 4]
    counts = {
        split: sum(r.split == split and r.mode == "images" for r in records) for split in ("train", "valid", "test")
    }
    assert counts == {"train": 9, "valid": 14, "test": 14}
    for record in records:
        assert (record.run, record.seed, record.model.corpus) == ("teacher", 1, "tiny")
        assert (record.model.architecture, record.model.smoothing) == ("resnet_8", Smoothing(amount=0.1))
        assert record.model.teacher is record.teacher_run is record.model.precision is None
    planes = [record.geometry["planes"] for record in records if record.geometry]
    assert [[plane["classes"] for plane in of_record] for of_record in planes] == 2 * [[["cat", "dog", "ship"]]]
    assert records[-1].signature.startswith("ECE|mode:images|hit:argmax|unit:image|split:test|")


DIES_WITH_A_CHECKPOINT = """
import os, signal, sys
from mt_ls.vision import training
from mt_ls.vision.__main__ import main

save = training.Training.save

def save_and_die(self):
    save(self)
    if self.update == int(os.environ["LAST_UPDATE"]):
        os.kill(os.getpid(), signal.SIGKILL)

training.Training.save = save_and_die
main(sys.argv[1:])
"""


@pytest.mark.parametrize(("last", "measured"), [(0, []), (2, [0])], ids=["before-the-first-epoch", "after-it"])
def test_a_killed_run_ends_with_the_same_records(arguments, full_options, teacher, tmp_path, last, measured):
    run = tmp_path / "teacher"
    command = arguments(run, *full_options)
    killed = subprocess.run(
        [sys.executable, "-c", DIES_WITH_A_CHECKPOINT, *command],
        cwd=ROOT,
        env={**os.environ, "LAST_UPDATE": str(last)},
        capture_output=True,
    )
    assert killed.returncode == -9 and (run / "checkpoint.pt").exists()
    records = run / "records.jsonl"
    assert [record.updates for record in (read(records) if records.exists() else [])] == measured
    assert main(command) == 0

    def numbers(folder):
        return [replace(record, seconds=None).to_json() for record in read(folder / "records.jsonl")]

    assert numbers(run) == numbers(teacher)


def test_a_student_says_who_taught_it(arguments, teacher, tmp_path):
    run = tmp_path / "student"
    options = ("--network", "mlp_16", "--teacher", teacher, "--teacher-temperature", 2, "--beta", 0.6)
    assert main(arguments(run, *options)) == 0
    record = read(run / "records.jsonl")[0]
    taught = next(r for r in read(teacher / "records.jsonl") if r.split == "train" and r.temperature == 2)
    assert record.model.teacher == Teacher(
        architecture="resnet_8", smoothing=Smoothing(amount=0.1), temperature=2.0, beta=0.6
    )
    run = record.teacher_run
    assert (run.run, run.checkpoint, run.gamma) == ("teacher", taught.sha["checkpoint"], taught.gamma)


def test_a_student_says_that_its_teacher_saw_its_images(arguments, teacher, tmp_path):
    options = ("--network", "mlp_16", "--teacher", teacher)
    for sees in ("whole", "augmented"):
        assert main(arguments(tmp_path / sees, *options, "--teacher-sees", sees)) == 0
    whole, augmented = (read(tmp_path / sees / "records.jsonl")[0] for sees in ("whole", "augmented"))
    assert augmented.model.teacher == replace(whole.model.teacher, sees="augmented") != whole.model.teacher
    assert '"sees"' in augmented.to_json() and '"sees"' not in whole.to_json()
    assert "the checkpoint of another command" in _refused(
        arguments(tmp_path / "whole", *options, "--teacher-sees", "augmented")
    )


def test_information_is_recorded_where_it_is_asked_for(arguments, tmp_path):
    """Before the first update, and of four epochs of two updates after those in which the updates pass a multiple of
    three, and the last."""
    options = ("--information", "cat", "frog", "--information-every", 3)
    assert main(arguments(tmp_path / "run", *options, "--updates", 8)) == 0
    records = read(tmp_path / "run" / "records.jsonl")
    assert [record.updates for record in records if record.mode == "information"] == [0, 4, 6, 8]


def test_the_untrained_network_has_the_settings_of_its_run(arguments, tmp_path, error, monkeypatch):
    """A seed gives the same weights with any smoothing, so a run that has not begun is told from another by its
    checkpoint."""
    run, information = tmp_path / "run", ("--information", "cat", "frog")

    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Training, "train_on", stopped)
        with pytest.raises(KeyboardInterrupt):
            main(arguments(run, *information))
    assert [record.updates for record in read(run / "records.jsonl")] == [0]
    assert "the checkpoint of another command" in error(arguments(run, *information, "--alpha", 0.1))


def test_a_run_that_began_without_information_has_none_of_its_beginning(arguments, tmp_path, monkeypatch):
    """It goes on from the end of its first epoch, with the weights that the second run of the pair has there."""
    monkeypatch.setattr(training, "SAVE_AFTER", 0)
    information = ("--information", "cat", "frog")
    begun, whole = tmp_path / "begun", tmp_path / "whole"
    with monkeypatch.context() as patch:
        patch.setattr(Training, "_mean", _fails_in_the_second_epoch(Training._mean))
        with pytest.raises(KeyboardInterrupt):
            main(arguments(begun))
    assert not (begun / "records.jsonl").exists()
    assert main(arguments(begun, *information)) == main(arguments(whole, *information)) == 0
    curves = {}
    for run in (begun, whole):
        records = [record for record in read(run / "records.jsonl") if record.mode == "information"]
        curves[run] = {record.updates: record.mutual_information for record in records}
    assert list(curves[whole]) == [0, 2, 4]
    assert curves[begun] == {updates: curves[whole][updates] for updates in (2, 4)}


def _fails_in_the_second_epoch(mean):
    def failing(self, losses, first):
        if first:
            raise KeyboardInterrupt
        return mean(self, losses, first)

    return failing


def test_a_student_of_logits_says_so(arguments, teacher, tmp_path):
    options = ("--network", "mlp_16", "--teacher", teacher, "--teacher-temperature", "logits")
    assert main(arguments(tmp_path / "student", *options)) == 0
    record = read(tmp_path / "student" / "records.jsonl")[0]
    assert record.model.teacher.temperature is record.teacher_run.gamma is None


def _refused(arguments):
    stderr = io.StringIO()
    with contextlib.redirect_stderr(stderr):
        assert main(arguments) == 2
    return stderr.getvalue()


def test_a_run_in_bfloat16_says_so(arguments, tmp_path):
    assert main(arguments(tmp_path / "run", "--network", "mlp_16", "--bf16")) == 0
    assert {record.model.precision for record in read(tmp_path / "run" / "records.jsonl")} == {"bf16"}


@pytest.fixture
def error(capsys):
    """The one line of a command that fails."""

    def of(arguments):
        assert main(arguments) == 2
        (line,) = (line for line in capsys.readouterr().err.splitlines() if "error" in line or "Traceback" in line)
        assert line.startswith("mt_ls.vision: error: ")
        return line

    return of


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--network", "vgg_1"), "no network 'vgg_1'"),
        (("--network", "resnet_9"), "no network 'resnet_9'"),
        (("--alpha", "1.5"), "label smoothing must lie in [0, 1), not 1.5"),
        (("--teacher", "no/such/run"), "no/such/run: no trained network"),
        (("--information", "bird", "cat"), "no class 'bird'"),
        (("--planes", "cat;dog;bird"), "no class 'bird'"),
        (("--planes", "cat;dog"), "--planes cat;dog: a plane goes through three classes, not 2"),
    ],
)
def test_bad_options_are_one_line_and_leave_no_run(arguments, error, tmp_path, options, message):
    assert message in error(arguments(tmp_path / "run", *options))
    assert not (tmp_path / "run").exists()


def test_data_and_checkpoints_that_do_not_fit_are_one_line(arguments, error, teacher, tmp_path):
    assert "no set of images" in error([str(tmp_path), *arguments(tmp_path / "run")[1:]])
    assert "the checkpoint of another command" in error(arguments(teacher, "--alpha", "0.2"))
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "checkpoint.pt").write_bytes((teacher / "checkpoint.pt").read_bytes()[:1000])
    assert "no checkpoint of this version of mt_ls.vision" in error(arguments(tmp_path / "torn"))


@pytest.mark.parametrize("every", ["0", "-1", "often"])
def test_information_is_asked_for_after_a_whole_number_of_updates(arguments, tmp_path, capsys, every):
    with pytest.raises(SystemExit):
        main(arguments(tmp_path / "run", "--information-every", every))
    assert "must be a whole number greater than 0" in capsys.readouterr().err


@pytest.mark.parametrize("temperature", ["warm", "0"])
def test_a_temperature_is_a_number_greater_than_0_or_logits(arguments, tmp_path, capsys, temperature):
    with pytest.raises(SystemExit):
        main(arguments(tmp_path / "run", "--teacher-temperature", temperature))
    assert "must be a number greater than 0, or logits" in capsys.readouterr().err
