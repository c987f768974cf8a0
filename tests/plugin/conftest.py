"""Trainings in this process, and sentences of many lengths, which the synthetic corpus lacks."""

import json

import pytest
import torch
from commands import MODEL
from fairseq import checkpoint_utils, options
from fairseq.data import LanguagePairDataset
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq_cli import train as command

from mt_ls.plugin import trainer
from mt_ls.plugin.precision import prepare_precision

SIZE = ["--max-tokens", "800", "--max-update", "11", "--log-interval", "3", "--log-format", "json", "--clip-norm", "1"]
KEYS = ("loss", "nll_loss", "num_updates", "gnorm", "clip", "wpb", "bsz", "lr")


@pytest.fixture
def ragged(monkeypatch):
    """Cut up to five tokens from the sentences of every set that is read: batches then have padding on both sides."""
    whole = LanguagePairDataset.__getitem__

    def cut(self, index):
        example = whole(self, index)
        for side, period in (("source", 4), ("target", 6)):
            tokens = example[side]
            example[side] = torch.cat((tokens[: len(tokens) - 1 - index % period], tokens[-1:]))
        return example

    monkeypatch.setattr(LanguagePairDataset, "__getitem__", cut)


@pytest.fixture
def train(data, tmp_path, caplog, ragged):
    """fairseq-train here, of sentences of many lengths: what its log says of training, and its last checkpoint."""
    trainer.install()
    fixed = [option for option in MODEL if option not in ("--user-dir", "mt_ls", "--cpu")]

    def train(name, *more, device="--cpu"):
        folder = tmp_path / name
        single = ["--distributed-world-size", "1", *([device] if device else [])]
        arguments = [str(data), *fixed, *SIZE, *single, "--save-dir", str(folder), "--no-epoch-checkpoints"]
        args = options.parse_args_and_arch(options.get_training_parser(), input_args=[*arguments, *map(str, more)])
        cfg = convert_namespace_to_omegaconf(args)
        prepare_precision(cfg)
        caplog.clear()
        with caplog.at_level("INFO"):
            command.main(cfg)
        inner, epoch = (_lines(caplog.records, stage) for stage in ("train_inner", "train"))
        epoch = [{key.removeprefix("train_"): value for key, value in line.items()} for line in epoch]
        values = [[float(line[key]) for key in KEYS] for line in inner + epoch]
        return values, torch.load(folder / "checkpoint_last.pt", weights_only=True)

    yield train
    if hasattr(checkpoint_utils.save_checkpoint, "best"):
        del checkpoint_utils.save_checkpoint.best


def _lines(records, stage):
    return [json.loads(record.getMessage()) for record in records if record.name == stage]
