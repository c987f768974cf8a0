"""python -m mt_ls.train DATA --user-dir mt_ls ...: fairseq-train for machines that stop and fail.

It takes every option of fairseq-train and trains the same model. Beyond fairseq-train:

- SIGUSR1 to any worker (a scheduler's warning) stops all: after the current update they save checkpoint_last.pt and
  end with status 75, "not finished, try again". The same command goes on from there, with the numbers of an undisturbed
  run.
- A checkpoint appears under its name when it is whole. If checkpoint_last.pt is cut short all the same (an older
  fairseq, a full disk), the newest whole checkpoint replaces it.
- A run that was killed after its last update is done; fairseq-train trains one more update.
- ``--patience`` counts the validations before a stop, too.
- A loss that is not finite ends the run with the number of its update; the last good checkpoint stays.
- ``torchrun --nproc-per-node 2 -m mt_ls.train ... --cpu`` trains with workers on a CPU (gloo); fairseq-train needs
  seven more options for that.
- An error is one line; its traceback is in SAVE-DIR/error.txt. Ctrl-C is one line, and status 130.
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
from fairseq.distributed.utils import is_master
from fairseq_cli import train as stock
from omegaconf import open_dict

from ..records import written_whole
from ..terminal import first_line, interrupted
from ..weights import broken_entry
from .configuration import prepare, stock_call_main
from .option_errors import OptionError
from .patience import Patience
from .stopping import STOP
from .task import TranslationWithCalibrationTask
from .trainer import install

NOT_FINISHED = 75  # EX_TEMPFAIL of sysexits.h


def main(arguments: list[str] | None = None) -> int:
    """Train. Returns 0 when done, 75 when stopped by a signal, and with one line on stderr 1 for an error and 130 after
    Ctrl-C.

    Bad options exit with status 2, as fairseq's parser does.
    """
    args = options.parse_args_and_arch(options.get_training_parser(), input_args=arguments)
    folder = Path(args.save_dir)
    try:
        cfg = convert_namespace_to_omegaconf(args)
        prepare(cfg)
        _join_workers_on_a_cpu(cfg)
        checkpoint_utils.PathManager.copy = _copy_whole
        if is_master(cfg.distributed_training):
            restore_last(folder)
        # fairseq compares with --max-update after an update: it would train one more here.
        if 0 < args.max_update <= _updates(folder / "checkpoint_last.pt"):
            print(f"mt_ls.train: {folder}/checkpoint_last.pt has seen all {args.max_update} updates", file=sys.stderr)
            return 0
        stock_call_main(cfg, _train)
    except KeyboardInterrupt:
        return _interrupted(folder)
    except OptionError as error:
        print(f"mt_ls.train: error: {error}", file=sys.stderr)
        return 1
    except Exception as error:
        return _report(error, folder)
    return NOT_FINISHED if STOP.agreed else 0


def _train(cfg: Any) -> None:
    def end_after_this_update() -> None:
        with open_dict(cfg):
            cfg.optimization.stop_time_hours = 1e-9
            # The time left is for the checkpoint, unless a later stop depends on the validation that is due.
            cfg.dataset.disable_validation = cfg.checkpoint.patience <= 0

    STOP.listen(signal.SIGUSR1, end_after_this_update)
    install()
    stock.should_stop_early = Patience(Path(cfg.checkpoint.save_dir)).should_stop_early
    stock.main(cfg)


def _join_workers_on_a_cpu(cfg: Any) -> None:
    """Set the options with which fairseq joins torchrun's workers on a CPU; by default it counts GPUs."""
    workers = int(os.environ.get("WORLD_SIZE", 1))
    if workers == 1 or not cfg.common.cpu:
        return
    with open_dict(cfg):
        training = cfg.distributed_training
        training.ddp_backend, training.distributed_backend = "legacy_ddp", "gloo"
        training.distributed_init_method, training.distributed_no_spawn = "env://", True
        training.distributed_world_size, training.distributed_rank = workers, int(os.environ["RANK"])


def _copy_whole(source: str, target: str, overwrite: bool = False) -> bool:
    """Copy a checkpoint to another name, where it appears whole: a kill leaves half a file of fairseq's own copy."""
    with written_whole(target) as aside:
        shutil.copyfile(source, aside)
    return True


def restore_last(folder: Path) -> None:
    """Replace a checkpoint_last.pt that is cut short with the newest whole checkpoint, and say so on stderr.

    Raises ValueError where there is no whole checkpoint.
    """
    last = folder / "checkpoint_last.pt"
    if not last.exists() or _updates(last) >= 0:
        return
    others = {path: _updates(path) for path in folder.glob("checkpoint*.pt") if path != last}
    newest = max(others, key=lambda path: others[path], default=last)
    if others.get(newest, -1) < 0:
        raise ValueError(f"{last} is cut short and there is no other checkpoint: delete it to begin again")
    _copy_whole(str(newest), str(last))
    print(f"mt_ls.train: {last} was cut short; going on from {newest.name}", file=sys.stderr)


def _updates(path: Path) -> int:
    """Number of updates that a checkpoint has seen; -1 for a file that cannot be read to its end."""
    try:
        if broken_entry(path):
            return -1
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return state["optimizer_history"][-1]["num_updates"]
    except Exception:  # whatever the unpickler raises
        return -1


def _interrupted(folder: Path) -> int:
    """Say on stderr how a training goes on that Ctrl-C has ended, and return its status."""
    last = folder / "checkpoint_last.pt"
    then = f"goes on from {last}" if last.exists() else "begins again: there is no checkpoint yet"
    return interrupted("mt_ls.train", f"; the same command {then}")


def _report(error: Exception, folder: Path) -> int:
    """Write the error's traceback to a file and its line to stderr; return the status."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "error.txt").write_text(traceback.format_exc())
        where = f" (traceback: {folder}/error.txt)"
    except OSError:  # the folder itself may be the cause
        where = ""
    print(f"mt_ls.train: error: {_reason(error, folder)}{where}", file=sys.stderr)
    return 1


def _reason(error: Exception, folder: Path) -> str:
    """One line about an error and its remedy, where it is known."""
    cause: BaseException | None = error
    while cause and not isinstance(cause, FloatingPointError):  # fairseq searches for its source, and may fail in turn
        cause = cause.__context__
    if cause:
        number = getattr(cause, "update", TranslationWithCalibrationTask.update + 1)
        return (
            f"update {number}: the loss or its gradient is not finite; the last good checkpoint in {folder} stays. "
            "Lower --lr, or set --clip-norm"
        )
    line = first_line(error)
    if "closed by peer" in line or "reset by peer" in line:
        return "another worker ended; its own line gives the reason, if it could. The same command goes on"
    return line
