"""Bad values end every command in one line before anything is read or built."""

import copy
import functools
import os
import sys
import types

import pytest
from commands import MODEL
from fairseq import options
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.distributed import utils as distributed
from fairseq.logging import progress_bar
from fairseq_cli import interactive, train, validate

import mt_ls.plugin  # noqa: F401
from mt_ls.plugin import train as plugin_train

TRAIN = ("nowhere", *(option for option in MODEL if option not in ("--user-dir", "mt_ls")), "--max-tokens", "100")
MEASURE = ("nowhere", "--path", "nowhere.pt", "--task", "translation_with_calibration", "--cpu")
CRITERION = ("--criterion", "label_smoothed_cross_entropy_with_calibration")


def _line_of(command, *arguments):
    """The line that a command ends with."""
    with pytest.raises(SystemExit) as ended:
        command(*arguments)
    assert isinstance(ended.value.code, str) and "\n" not in ended.value.code
    return ended.value.code


@pytest.mark.parametrize(
    ("command", "arguments", "line"),
    [
        (train, [*TRAIN, "--label-smoothing", "1.5"], "error: label smoothing must lie in [0, 1), not 1.5"),
        (train, [*TRAIN, "--fp16"], "error: --fp16 trains on a GPU only: leave it out on a CPU"),
        (validate, [*MEASURE, *CRITERION, "--label-smoothing", "1.5"], "error: label smoothing must lie in [0, 1), "),
        (interactive, [*MEASURE, "--temperature", "0"], "error: a temperature must be greater than 0, not 0"),
    ],
)
def test_the_stock_commands_end_in_one_line(command, arguments, line, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["fairseq", *arguments])
    assert _line_of(command.cli_main).startswith(line)


def test_so_does_ours_and_makes_no_folder(tmp_path, capsys):
    status = plugin_train.main([*TRAIN, "--label-smoothing", "1.5", "--save-dir", str(tmp_path / "run")])
    assert status == 1 and not (tmp_path / "run").exists()
    assert capsys.readouterr().err == "mt_ls.train: error: label smoothing must lie in [0, 1), not 1.5\n"


@functools.cache
def _parsed(command):
    """The configuration of a training, or of a search."""
    parser = options.get_training_parser() if command is train else options.get_interactive_generation_parser()
    args = options.parse_args_and_arch(parser, input_args=list(TRAIN if command is train else MEASURE))
    return convert_namespace_to_omegaconf(args)


def _refused(command, section, **values):
    """The line that the step between parsing and work ends with, of these values of a section."""
    cfg = copy.deepcopy(_parsed(command))
    cfg[section].update(values)
    return _line_of(distributed.call_main, cfg, lambda _: pytest.fail("the command works"))


@pytest.mark.parametrize(
    ("section", "values", "line"),
    [
        ("criterion", {"label_smoothing": -0.1}, "label smoothing must lie in [0, 1), not -0.1"),
        ("criterion", {"label_smoothing": float("nan")}, "label smoothing must lie in [0, 1), not nan"),
        (
            "criterion",
            {"smoothing_convention": "fairseq", "smoothing_kind": "unigram"},
            "the fairseq convention is for uniform smoothing only: unigram needs the paper's",
        ),
        ("task", {"faster": "adam,speed"}, "--faster knows no 'speed': choose all, none, or of adam, attention,"),
        ("criterion", {"projection_products": "bfloat16"}, "bfloat16 products need a CPU with AVX-512 BF16 or AMX"),
    ],
)
def test_training_refuses(section, values, line, monkeypatch):
    monkeypatch.setattr("mt_ls.smoothing.cpu.has_bfloat16", lambda: False)
    assert _refused(train, section, **values).startswith(f"error: {line}")


@pytest.mark.parametrize("temperature", [-1.0, float("nan"), float("inf")])
def test_searching_refuses_a_temperature(temperature):
    line = f"error: a temperature must be greater than 0, not {temperature:g}"
    assert _refused(interactive, "generation", temperature=temperature) == line


@pytest.mark.parametrize(
    ("option", "package", "line"),
    [
        ("tensorboard_logdir", "SummaryWriter", "--tensorboard-logdir needs a package that is missing: pip install "),
        ("wandb_project", "wandb", "--wandb-project needs a package that is missing: pip install wandb"),
    ],
)
def test_curves_without_their_package_are_refused(option, package, line, monkeypatch):
    monkeypatch.setattr(progress_bar, package, None)
    assert _refused(train, "common", **{option: "here"}).startswith(f"error: {line}")


def test_a_folder_that_wandb_has_made_is_not_wandb(monkeypatch):
    monkeypatch.setattr(progress_bar, "wandb", types.ModuleType("wandb"))
    assert "pip install wandb" in _refused(train, "common", wandb_project="here")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "it is a folder"),
        ("no/records.jsonl", "there is no folder {folder}/no"),
        ("file/records.jsonl", "there is no folder {folder}/file"),
        ("pipe", "it is no regular file"),
        ("n" * 300, "File name too long"),
        ("read-only", "it is read-only"),
    ],
)
def test_records_that_cannot_be_written_are_refused_before_the_model_is_read(name, reason, tmp_path, monkeypatch):
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path.name != "read-only" and access(path, mode))  # not of root
    (tmp_path / "file").write_text("kept")
    (tmp_path / "read-only").write_text("kept")
    os.mkfifo(tmp_path / "pipe")
    before = sorted(tmp_path.iterdir())
    line = _refused(interactive, "task", calibration_records=str(tmp_path / name))
    assert line == f"error: --calibration-records {tmp_path / name} cannot be written: {reason.format(folder=tmp_path)}"
    assert sorted(tmp_path.iterdir()) == before and (tmp_path / "file").read_text() == "kept"


def test_records_that_can_be_written_leave_nothing_before_they_are(tmp_path):
    cfg = copy.deepcopy(_parsed(interactive))
    cfg.task.calibration_records = str(tmp_path / "records.jsonl")
    distributed.call_main(cfg, lambda _: None)
    assert not list(tmp_path.iterdir())
