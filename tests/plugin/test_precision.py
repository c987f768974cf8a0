"""--bf16 and --fp16: no TPU in the trainer's configuration, and one line on a CPU."""

import importlib.util

import pytest
import torch
from commands import module, run, train_command
from fairseq import options
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.distributed import utils as distributed

import mt_ls.plugin  # noqa: F401

TRAINING = ["data", "--task", "translation_with_calibration", "--arch", "transformer_mt_ls_micro"]


def _parsed(*arguments):
    """The configuration of fairseq-train, as its ``cli_main`` makes it."""
    args = options.parse_args_and_arch(options.get_training_parser(), input_args=[*TRAINING, *arguments])
    return convert_namespace_to_omegaconf(args)


def _configuration(*arguments):
    """The configuration that fairseq-train hands to what it calls next: to main, and so to the trainer."""
    handed = []
    distributed.call_main(_parsed(*arguments), handed.append)
    return handed[0]


def _with_tpu(cfg):
    """The sections of a configuration that ask for a TPU."""
    return [name for name in cfg if getattr(cfg[name], "tpu", False)]


@pytest.fixture
def gpu(monkeypatch):
    """A machine with a GPU, as far as anybody asks before the trainer is built."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


@pytest.mark.parametrize("option", ["--bf16", "--memory-efficient-bf16"])
def test_the_trainer_of_bf16_gets_a_gpu_and_no_tpu(option, gpu):
    cfg = _configuration(option, "--optimizer", "adam")
    assert cfg.common.bf16 and _with_tpu(cfg) == []


def test_several_gpus_are_counted_before_a_tpu_is_sought(gpu, monkeypatch):
    """With several devices call_main itself asks whether there is a TPU, before any task is set up."""
    spawned = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.multiprocessing, "spawn", lambda **arguments: spawned.append(arguments))
    cfg = _parsed("--bf16", "--distributed-world-size", "2")
    distributed.call_main(cfg, lambda cfg: pytest.fail("one process trains"))
    (_, cfg, _) = spawned[0]["args"]
    assert spawned[0]["nprocs"] == 2 and _with_tpu(cfg) == []


def test_a_tpu_stays_where_torch_xla_is_installed(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    cfg = _configuration("--bf16", "--optimizer", "adam")
    assert cfg.common.bf16 and {"common", "distributed_training", "optimizer"} <= set(_with_tpu(cfg))


def test_mt_ls_train_gets_no_tpu_either(gpu, tmp_path, monkeypatch):
    from mt_ls.plugin import train

    handed = []
    monkeypatch.setattr(train.stock, "main", handed.append)
    monkeypatch.setattr(train.STOP, "listen", lambda *_: None)
    assert train.main([*TRAINING, "--bf16", "--save-dir", str(tmp_path)]) == 0
    assert handed[0].common.bf16 and _with_tpu(handed[0]) == []


@pytest.mark.parametrize("option", ["--bf16", "--memory-efficient-bf16", "--fp16", "--memory-efficient-fp16"])
def test_half_precision_on_a_cpu_ends_before_anything_is_built(option):
    with pytest.raises(SystemExit, match=f"^error: {option} trains on a GPU only: leave it out on a CPU$"):
        _configuration(option, "--cpu")


def test_without_a_gpu_the_option_cpu_makes_no_difference(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="--fp16 trains on a GPU only"):
        _configuration("--fp16")
    assert not _configuration().common.fp16


def test_generating_in_half_precision_on_a_cpu_is_left_to_fairseq():
    arguments = ["data", "--path", "model.pt", "--fp16", "--cpu"]
    args = options.parse_args_and_arch(options.get_generation_parser(), input_args=arguments)
    handed = []
    distributed.call_main(convert_namespace_to_omegaconf(args), handed.append)
    assert handed[0].common.fp16


@pytest.mark.parametrize("program", ["fairseq-train", "mt_ls.train"])
def test_the_commands_say_it_in_one_line(program, tmp_path):
    stock = train_command(tmp_path / "data", tmp_path / "run", "--bf16", "--max-tokens", "100")
    finished = run(stock if program == "fairseq-train" else module(program, *stock[1:]))
    assert finished.returncode == 1
    lines = [line for line in finished.stderr.splitlines() if "tensorboardX" not in line]
    assert len(lines) == 1 and "error: --bf16 trains on a GPU only: leave it out on a CPU" in lines[0]
