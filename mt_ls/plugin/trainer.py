"""fairseq's trainer with the faster parts that ``--faster`` names.

Importing this module puts `Trainer` in the place of fairseq's in ``fairseq_cli.train``, which the stock command with
``--user-dir`` and ``mt_ls.train`` run. For another task, and on a CPU but for kept batches, it is fairseq's trainer.
"""

from __future__ import annotations

import logging
import math
import sys
from typing import Any, NamedTuple

import torch
from fairseq import trainer as stock
from fairseq.logging import metrics

from .attention import hasten_attention
from .batches import keep_batches
from .faster import names_of
from .optimizer import hasten_optimizer
from .stopping import STOP

logger = logging.getLogger(__name__)

_PENDING = 100  # updates whose losses may be on the device: a loss that is not finite ends the run by then
_FINITE = torch.ones(())


class NotFiniteError(FloatingPointError):
    """A loss or its gradient that is not finite, and the number of its update."""

    def __init__(self, update: int) -> None:
        super().__init__(f"update {update}: the loss or its gradient is not finite")
        self.update = update


class _Update(NamedTuple):
    """The numbers of an update for the log; tensors are on the device."""

    number: int
    logs: list[dict[str, Any]]
    sample_size: float
    norm: torch.Tensor


class Trainer(stock.Trainer):
    """fairseq's trainer. With ``log`` the losses of its updates are on the device until the log asks for them.

    A loss or gradient that is not finite then raises `NotFiniteError` at the next line of the log, validation or
    checkpoint, whichever is first; no checkpoint is written after it.
    """

    def __init__(self, cfg: Any, task: Any, model: Any, criterion: Any, quantizer: Any = None) -> None:
        super().__init__(cfg, task, model, criterion, quantizer)
        names = names_of(task)
        self.keeps_batches = "batches" in names
        self.fast = names if self.on_gpu() else frozenset()
        if "attention" in self.fast and (task.cfg.left_pad_target or not hasten_attention(self.get_model())):
            logger.info("attention is fairseq's own: this is no plain Transformer, or targets are padded on the left")
        self.defers = "log" in self.fast and self.data_parallel_world_size == 1 and not cfg.common.amp
        self._pending: list[_Update] = []
        self._logs_at_once = True  # fairseq's clocks begin at the first update that is logged
        self._epochs: Any = None
        self._memory: Any = None
        if self.defers:  # fairseq would read the device's memory at every update
            self._memory, self.cuda_env = vars(self)["cuda_env"], None

    def on_gpu(self) -> bool:
        """Whether this trainer runs on a GPU."""
        return self.cuda

    def _build_optimizer(self) -> None:
        super()._build_optimizer()
        hasten_optimizer(self._optimizer, self.fast)

    def get_train_iterator(self, *args: Any, **kwargs: Any) -> Any:
        """The stock iterator, which keeps its batches where they are few."""
        self._epochs = super().get_train_iterator(*args, **kwargs)
        if self.keeps_batches:
            keep_batches(self._epochs, self.device)
        return self._epochs

    def train_step(self, samples: Any, raise_oom: bool = False) -> Any:
        """The stock step. An update that fairseq leaves out (an overflow in fp16) is no update that could ask for the
        log, so the log of those before it is written."""
        output = super().train_step(samples, raise_oom)
        if output is None and self.defers:
            self.log_pending()
        return output

    def clip_grad_norm(self, clip_norm: float) -> torch.Tensor:
        """The norm of the gradient, which is clipped. It stays on the device where the log is deferred: fairseq gets a
        number that needs no look at the device in its place."""
        norm = super().clip_grad_norm(clip_norm)
        if not self.defers:
            return norm
        self._norm = norm
        return _FINITE

    def _reduce_and_log_stats(self, logging_outputs: Any, sample_size: Any, grad_norm: Any = None) -> dict[str, Any]:
        if grad_norm is None or not self.defers:
            return super()._reduce_and_log_stats(logging_outputs, sample_size, grad_norm)
        self._pending.append(_Update(self.get_num_updates(), logging_outputs, sample_size, self._norm))
        if self._is_log_due():
            self.log_pending()
        return {}  # the command only asks whether there is one

    def _is_log_due(self) -> bool:
        number, optimization = self.get_num_updates(), self.cfg.optimization
        hours = self.cumulative_training_time() / 3600
        return (
            self._logs_at_once
            or number % self.cfg.common.log_interval == 0
            or len(self._pending) >= _PENDING
            or STOP.asked
            or 0 < optimization.max_update <= number
            or 0 < optimization.stop_time_hours < hours
            or self._epochs is None
            or self._epochs.end_of_epoch()
        )

    def log_pending(self) -> None:
        """Log the updates that are not logged yet, as fairseq would have done one by one.

        Raises `NotFiniteError` for the first whose gradient is not finite.
        """
        if not self._pending:
            return
        pending, self._pending = _on_the_host(self._pending), []
        self._logs_at_once = False
        with metrics.aggregate("train"), metrics.aggregate("train_inner"):
            for update in pending:
                if not math.isfinite(update.norm):
                    raise NotFiniteError(update.number)
                super()._reduce_and_log_stats(update.logs, update.sample_size, update.norm)
            if self._memory is not None:
                used = torch.cuda.max_memory_allocated() / 2**30
                torch.cuda.reset_peak_memory_stats()
                free = self._memory.total_memory_in_GB - used
                metrics.log_scalar("gb_free", free, priority=1500, round=1, weight=0)

    def begin_valid_epoch(self, epoch: int) -> None:
        """The stock beginning of a validation, after the log of all updates."""
        self.log_pending()
        super().begin_valid_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """The stock state, after the log of all updates, which is part of it."""
        self.log_pending()
        return super().state_dict()


def _on_the_host(updates: list[_Update]) -> list[_Update]:
    """The updates with their tensors on the host, by one copy."""
    tensors = [
        value
        for update in updates
        for value in (update.norm, *(v for log in update.logs for v in log.values()))
        if torch.is_tensor(value)
    ]
    if not tensors:
        return updates
    # Float64 holds the values of every type here.
    device = updates[0].norm.device  # a criterion of another's may log some from the host
    values = torch.cat([tensor.detach().to(device).reshape(-1).double() for tensor in tensors]).cpu()
    parts = values.split([tensor.numel() for tensor in tensors])
    copies = {id(tensor): part.view(tensor.shape).to(tensor.dtype) for tensor, part in zip(tensors, parts, strict=True)}
    return [
        update._replace(
            norm=copies[id(update.norm)],
            logs=[{key: copies.get(id(value), value) for key, value in log.items()} for log in update.logs],
        )
        for update in updates
    ]


def install() -> None:
    """Put `Trainer` in the place of fairseq's in its training command, under whichever name that runs."""
    for name in ("fairseq_cli.train", "__main__"):
        command = sys.modules.get(name)
        if getattr(command, "Trainer", None) is stock.Trainer:
            command.Trainer = Trainer  # type: ignore[union-attr]


install()
