"""``--patience N`` for trainings that are stopped and go on: the losses of validations are kept in a file.

fairseq counts validations without a better loss in memory. After a restart it counts from 0, and trains longer than the
undisturbed run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fairseq.distributed.utils import is_master

from ..records import written_whole
from .task import TranslationWithCalibrationTask

FILE = "validations.json"


class Patience:
    """The losses of the validations so far, by number of updates, kept in ``FILE`` of a folder of checkpoints."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE
        self._losses: dict[int, float] = {}
        if self._file.exists():
            self._losses = {int(updates): loss for updates, loss in json.loads(self._file.read_text()).items()}

    def should_stop_early(self, cfg: Any, loss: float | None) -> bool:
        """As ``should_stop_early`` of ``fairseq_cli.train``: whether the last ``--patience`` validations have not
        brought a better loss. ``loss`` is that of the validation after the current update, None where there was none.

        Losses of later updates, which a run saw before it went back to its last checkpoint, are forgotten.
        """
        if loss is None or cfg.checkpoint.patience <= 0:
            return False
        updates = TranslationWithCalibrationTask.update + 1
        self._losses = {at: known for at, known in self._losses.items() if at < updates} | {updates: loss}
        if is_master(cfg.distributed_training):
            with written_whole(self._file) as aside:
                aside.write_text(json.dumps(self._losses))
        losses = list(self._losses.values())
        best = max(losses) if cfg.checkpoint.maximize_best_checkpoint_metric else min(losses)
        return len(losses) - 1 - losses.index(best) >= cfg.checkpoint.patience
