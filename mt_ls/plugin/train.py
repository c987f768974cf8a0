"""python -m mt_ls.train DATA --user-dir mt_ls ...: fairseq-train for machines that stop and fail.

Takes every option of fairseq-train and trains the same model. Beyond it:

- SIGUSR1 to any worker, a scheduler's warning: after the update at hand all save checkpoint_last.pt and end with
  status 75, "not finished, try again". The same command goes on from there, with the numbers of a run never stopped.
- A checkpoint takes its name when it is whole. Where checkpoint_last.pt is cut short all the same (an older fairseq,
  a full disk), the newest whole checkpoint takes its place.
- A run that was killed after its last update is done: fairseq's own would train one more.
- A loss that is not finite ends the run with the number of its update; the last good checkpoint stays.
- ``torchrun --nproc-per-node 2 -m mt_ls.train ... --cpu`` trains with workers on a CPU (gloo), which fairseq's own
  command cannot without seven more options.
- An error is one line; its traceback is in SAVE-DIR/error.txt.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import torch
from fairseq import checkpoint_utils, options
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.distributed import utils as distributed
from fairseq_cli import train as stock
from omegaconf import open_dict

from ..records.record import written_whole
from ..weights import broken_entry
from .stopping import STOP
from .task import TranslationWithCalibrationTask

NOT_FINISHED = 75  # EX_TEMPFAIL of sysexits.h


def main(arguments: list[str] | None = None) -> int:
    """Train: 0 when done, 75 when stopped by a signal, 2 for bad options, 1 with one line on stderr otherwise."""
    args = options.parse_args_and_arch(options.get_training_parser(), input_args=arguments)
    folder = Path(args.save_dir)
    try:
        cfg = convert_namespace_to_omegaconf(args)
        _workers_on_a_cpu(cfg)
        checkpoint_utils.PathManager.copy = _copied_whole
        if distributed.is_master(cfg.distributed_training):
            restore_last(folder)
        # fairseq looks at --max-update after an update: one that had ended would train one more.
        if 0 < args.max_update <= _updates(folder / "checkpoint_last.pt"):
            print(f"mt_ls.train: {folder}/checkpoint_last.pt has seen all {args.max_update} updates", file=sys.stderr)
            return 0
        distributed.call_main(cfg, _train)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        return _failed(error, folder)
    return NOT_FINISHED if STOP.agreed else 0


def _train(cfg: Any) -> None:
    def end_after_this_update() -> None:
        with open_dict(cfg):
            cfg.optimization.stop_time_hours = 1e-9
            cfg.dataset.disable_validation = True  # the time left is for the checkpoint

    STOP.listen(signal.SIGUSR1, end_after_this_update)
    stock.main(cfg)


def _workers_on_a_cpu(cfg: Any) -> None:
    """The options that fairseq needs to join torchrun's workers where there is no GPU to count."""
    workers = int(os.environ.get("WORLD_SIZE", 1))
    if workers == 1 or not cfg.common.cpu:
        return
    with open_dict(cfg):
        ours = cfg.distributed_training
        ours.ddp_backend, ours.distributed_backend = "legacy_ddp", "gloo"
        ours.distributed_init_method, ours.distributed_no_spawn = "env://", True
        ours.distributed_world_size, ours.distributed_rank = workers, int(os.environ["RANK"])


def _copied_whole(source: str, target: str, overwrite: bool = False) -> bool:
    """fairseq's copy of a checkpoint to its other names leaves half a file where it is killed: this one does not."""
    with written_whole(target) as aside:
        shutil.copyfile(source, aside)
    return True


def restore_last(folder: Path) -> None:
    """Put the newest whole checkpoint in the place of a checkpoint_last.pt that is cut short; say so on stderr. Raises
    ValueError where there is none."""
    last = folder / "checkpoint_last.pt"
    if not last.exists() or _updates(last) >= 0:
        return
    others = {path: _updates(path) for path in folder.glob("checkpoint*.pt") if path != last}
    newest = max(others, key=lambda path: others[path], default=last)
    if others.get(newest, -1) < 0:
        raise ValueError(f"{last} is cut short and there is no other checkpoint: delete it to begin again")
    _copied_whole(str(newest), str(last))
    print(f"mt_ls.train: {last} was cut short; going on from {newest.name}", file=sys.stderr)


def _updates(path: Path) -> int:
    """How many updates a checkpoint has seen; -1 where it cannot be read to its end."""
    try:
        if broken_entry(path):
            return -1
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return state["optimizer_history"][-1]["num_updates"]
    except Exception:  # whatever the unpickler raises
        return -1


def _failed(error: Exception, folder: Path) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "error.txt").write_text(traceback.format_exc())
        where = f" (traceback: {folder}/error.txt)"
    except OSError:  # the folder itself may be what failed
        where = ""
    print(f"mt_ls.train: error: {_reason(error, folder)}{where}", file=sys.stderr)
    return 1


def _reason(error: Exception, folder: Path) -> str:
    cause: BaseException | None = error
    while cause and not isinstance(cause, FloatingPointError):  # fairseq looks for its place, and may fail in turn
        cause = cause.__context__
    if cause:
        number = TranslationWithCalibrationTask.update + 1
        return (
            f"update {number}: the loss or its gradient is not finite; the last good checkpoint in {folder} stays. "
            "Lower --lr, or set --clip-norm"
        )
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if "closed by peer" in line or "reset by peer" in line:
        return "another worker ended; its own line says why, if it could. The same command goes on"
    return line
