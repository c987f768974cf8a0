"""Trainings in this process that go on for as many updates as they are asked, so that two of them can take turns."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch
from fairseq import options, tasks, utils
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.logging import metrics
from harness import seconds

import mt_ls.plugin  # noqa: F401
from mt_ls.plugin.precision import prepare_precision
from mt_ls.plugin.trainer import Trainer


class Session:
    """A training with fairseq-train's options, without checkpoints and validation.

    ``trainer`` is fairseq's for every task but ours.
    """

    def __init__(self, arguments: list[str]) -> None:
        args = options.parse_args_and_arch(options.get_training_parser(), input_args=list(map(str, arguments)))
        cfg = convert_namespace_to_omegaconf(args)
        prepare_precision(cfg)
        np.random.seed(cfg.common.seed)
        utils.set_torch_seed(cfg.common.seed)
        task = tasks.setup_task(cfg.task)
        model, criterion = task.build_model(cfg.model), task.build_criterion(cfg.criterion)
        self.trainer = Trainer(cfg, task, model, criterion)
        self._epochs = self.trainer.get_train_iterator(1)
        self.trainer.begin_epoch(1)
        self._batches = itertools.chain.from_iterable(iter(self._epochs.next_epoch_itr, None))
        # Training parts of ours turn cuDNN's attention off in the whole process.
        self._cudnn_attention = torch.backends.cuda.cudnn_sdp_enabled()
        torch.backends.cuda.enable_cudnn_sdp(True)

    @property
    def updates_an_epoch(self) -> int:
        """Number of batches in an epoch."""
        return len(self._epochs)

    def run(self, updates: int) -> int:
        """Train for some updates, as the loop of fairseq-train does; return the number of target tokens."""
        torch.backends.cuda.enable_cudnn_sdp(self._cudnn_attention)
        tokens = 0
        for batch in itertools.islice(self._batches, updates):
            tokens += batch["ntokens"]
            with metrics.aggregate("train_inner"):
                self.trainer.train_step([batch])
            if self.trainer.get_num_updates() % self.trainer.cfg.common.log_interval == 0:
                metrics.get_smoothed_values("train_inner")
                metrics.reset()  # the meters of one training mean nothing to the next
        torch.backends.cuda.enable_cudnn_sdp(True)
        return tokens

    def speed(self, updates: int) -> float:
        """Target tokens a second over some updates."""
        tokens: list[Any] = []
        duration = seconds(lambda: tokens.append(self.run(updates)))
        return tokens[0] / duration
