"""python -m mt_ls.average CHECKPOINT CHECKPOINT [MORE] --output FILE
       python -m mt_ls.average FOLDER --num-epoch-checkpoints 10 --output FILE

Average the parameters of several checkpoints of one training, as scripts/average_checkpoints.py of fairseq's repository
does. FILE is a checkpoint that fairseq loads and python -m mt_ls.measure measures, as a model with the checkpoint
"average of 10". Configuration and number of updates are those of the checkpoint with the most updates. The state of the
optimizer is left out, so that no training goes on from an average.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from omegaconf import OmegaConf

from ..records import written_whole
from ..terminal import first_line
from .configuration import FAMILY, architecture_of, precision_of, seed_of, smoothing_of
from .fairseq_model import read_state, updates_of
from .names import distinct_names
from .paths import check_output
from .protocol import MeasureError


class Kept(NamedTuple):
    """A kind of checkpoint that fairseq keeps: of which ``period``, its files' names, and the option that keeps more of
    them."""

    period: str
    name: re.Pattern[str]
    option: str


EPOCHS = Kept("epoch", re.compile(r"checkpoint(\d+)\.pt"), "--keep-last-epochs")
UPDATES = Kept("update", re.compile(r"checkpoint_\d+_(\d+)\.pt"), "--keep-interval-updates")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the average of checkpoints; return 0, or 2 after one line on stderr."""
    options = _options(arguments)
    try:
        check_output(options.output)
        paths = _paths(options)
        if options.output.resolve() in {path.resolve() for path in paths}:
            raise MeasureError(f"{options.output} is one of the checkpoints to average: name another file")
        state = average(paths)
        _save(state, options.output)
        print(f"{options.output}: {state[FAMILY]}, up to update {updates_of(state)}")
    except (MeasureError, OSError) as error:
        print(f"mt_ls.average: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    usage, description = str(__doc__).split("\n\n", 1)
    parser = argparse.ArgumentParser(
        prog="python -m mt_ls.average",
        usage=usage,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("paths", nargs="+", type=Path, metavar="PATH", help="checkpoints' files, or the folder of a training's")
    add("--output", required=True, type=Path, metavar="FILE", help="file of the average")
    newest = parser.add_mutually_exclusive_group()
    newest.add_argument("--num-epoch-checkpoints", type=int, metavar="N", help="the newest N of FOLDER/checkpoint12.pt")
    newest.add_argument("--num-update-checkpoints", type=int, metavar="N", help="those of FOLDER/checkpoint_2_4000.pt")
    return parser.parse_args(arguments)


def _paths(options: argparse.Namespace) -> list[Path]:
    """The files to average. Raises MeasureError unless they are several."""
    chosen = ((EPOCHS, options.num_epoch_checkpoints), (UPDATES, options.num_update_checkpoints))
    for kept, n in chosen:
        if n is not None:
            if len(options.paths) > 1:
                raise MeasureError(f"--num-{kept.period}-checkpoints chooses from one folder, not {len(options.paths)}")
            return newest(options.paths[0], n, kept)
    distinct_names(options.paths)  # none is named twice
    return list(options.paths)


def newest(folder: Path, n: int, kept: Kept) -> list[Path]:
    """Return the newest ``n`` checkpoints of one kind in a folder, oldest first. Raises MeasureError for fewer."""
    if not folder.is_dir():
        raise MeasureError(f"{folder}: no such folder of checkpoints")
    numbers = {int(found[1]): file for file in folder.iterdir() if (found := kept.name.fullmatch(file.name))}
    if len(numbers) >= n:
        return [numbers[number] for number in sorted(numbers)[len(numbers) - max(n, 0) :]]
    if kept is EPOCHS and sorted(numbers) == list(range(1, len(numbers) + 1)) and numbers:
        raise MeasureError(f"{folder}: {n} epochs are wanted, and the training had {len(numbers)}: average fewer")
    raise MeasureError(
        f"{folder}: {n} checkpoints of {kept.period}s are wanted, and {len(numbers)} are there; the others are gone or "
        f"were not kept: run the training again in another folder, with {kept.option} {n}"
    )


def average(paths: Sequence[Path]) -> dict[str, Any]:
    """Return the checkpoint whose parameters are the means of those of the files.

    Means are taken in float64 and kept in the parameters' type, or in float32 where that is smaller. Values that are no
    floating-point numbers, and all that is no parameter, are those of the checkpoint with the most updates. Raises
    MeasureError for checkpoints that are not of one training, that are averages themselves, or have the same updates.
    """
    if len(paths) < 2:
        raise MeasureError(f"an average needs at least 2 checkpoints, not {len(paths)}")
    sums: dict[str, torch.Tensor] = {}
    by_update: dict[int | None, Path] = {}
    identity: dict[str, Any] = {}
    last: dict[str, Any] = {}
    for path in paths:
        state = read_state(path)
        state.pop("last_optimizer_state", None)
        if FAMILY in state:
            raise MeasureError(f"{path}: is itself an average: name the checkpoints that were averaged")
        other = by_update.setdefault(updates_of(state), path)
        if other != path:
            raise MeasureError(f"{path} and {other} are both of update {updates_of(state)}: name one of them")
        own = _identity(path, state)
        identity = identity or own
        _check_same(path, own, paths[0], identity)
        for name, values in state["model"].items():
            if values.is_floating_point():
                sums[name] = sums[name] + values if name in sums else values.double()
        if not last or (updates_of(state) or 0) > (updates_of(last) or 0):
            last = state
    for name, total in sums.items():
        kept = torch.promote_types(last["model"][name].dtype, torch.float32)
        last["model"][name] = (total / len(paths)).to(kept)
    # as fairseq's trainer saves it
    last["cfg"] = OmegaConf.to_container(last["cfg"], resolve=True, enum_to_str=True)
    last[FAMILY] = f"average of {len(paths)}"
    return last


def _identity(path: Path, state: dict[str, Any]) -> dict[str, Any]:
    """In what the checkpoints of one training agree, by its name in an error."""
    cfg, model = state["cfg"], state["model"]
    if not all(isinstance(values, torch.Tensor) for values in model.values()):
        raise MeasureError(f"{path}: not a fairseq checkpoint: a parameter is no tensor")
    try:
        smoothing, seed = smoothing_of(cfg.criterion), seed_of(cfg.common)
    except (ValueError, TypeError, AttributeError) as error:
        raise MeasureError(f"{path}: its configuration is not valid: {first_line(error)}") from None
    return {
        "architecture": architecture_of(cfg.model),
        "label smoothing": smoothing and f"{smoothing.amount:g} {smoothing.kind} {smoothing.convention}",
        "precision": precision_of(cfg.common) or "float32",
        "seed": seed,
        "number of parameters": len(model),
        **{name: f"{str(values.dtype).removeprefix('torch.')} {tuple(values.shape)}" for name, values in model.items()},
    }


def _check_same(path: Path, identity: dict[str, Any], first: Path, of_first: dict[str, Any]) -> None:
    """Raise MeasureError for a checkpoint of another model than the first one."""
    for name, value in of_first.items():
        if identity.get(name) != value:
            raise MeasureError(
                f"{path} and {first} are not of one training: {name} {identity.get(name)}, and {value}: average the "
                "checkpoints of one"
            )


def _save(state: dict[str, Any], file: Path) -> None:
    with written_whole(file) as aside:
        try:
            torch.save(state, aside)
        except RuntimeError as error:  # torch's for a full disk
            raise OSError(f"{file}: cannot be written: {first_line(error)[:120]}") from None
