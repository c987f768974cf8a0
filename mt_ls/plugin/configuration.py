"""The parsed configuration of a command of fairseq: bad values end it in one line, before anything is built.

Importing this module wraps the functions of fairseq through which its commands, with ``--user-dir``, go between parsing
and their work:

- ``fairseq.distributed.utils.call_main``, which each command calls once, as an attribute of its module. No later step
  of a training serves: with several GPUs ``call_main`` itself looks for a TPU, before a task or a criterion is set up.
  No earlier one does: parsing sets ``args.tpu`` last, and then calls the architecture's function alone, which may be a
  stock one.
- ``main`` of fairseq-generate, which does not call ``call_main``.
- ``add_defaults`` of training: fairseq-hydra-train imports the plugin after ``call_main``, and completes the
  configuration right then.
"""

from __future__ import annotations

import functools
import sys
from argparse import Namespace
from collections.abc import Callable
from typing import Any

from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.distributed import utils as distributed

from ..calibration.temperature import check_temperature
from . import criterion, faster, recording, task
from .curves import check_curves
from .option_errors import OptionError, option_errors
from .precision import prepare_precision

stock_call_main = distributed.call_main


def prepare(cfg: Any) -> None:
    """Let a parsed configuration train in bf16 on a GPU. Raises `OptionError` for a value that it cannot work with."""
    with option_errors():
        prepare_precision(cfg)
        if _name(cfg.criterion) == criterion.NAME:
            criterion.check_options(cfg.criterion)
        if cfg.model is not None:  # it trains
            check_curves(cfg.common)
    check_search(cfg)


def check_search(cfg: Any) -> None:
    """Raise `OptionError` for a value that a search or the task cannot work with."""
    with option_errors():
        check_temperature(cfg.generation.temperature)
        if _name(cfg.task) == task.NAME:
            faster.parse_names(cfg.task.faster)
            if cfg.task.calibration_records:
                recording.check_writable(cfg.task.calibration_records)


def _name(section: Any) -> str | None:
    return getattr(section, "_name", None)


def _in_one_line(step: Callable[..., Any]) -> Callable[..., Any]:
    """A step of a command that ends the process in one line for an `OptionError`."""

    @functools.wraps(step)
    def step_in_one_line(*args: Any, **kwargs: Any) -> Any:
        try:
            return step(*args, **kwargs)
        except OptionError as error:
            raise SystemExit(f"error: {error}") from None

    return step_in_one_line


@_in_one_line
def _call_main(cfg: Any, main: Any, **kwargs: Any) -> Any:
    """fairseq's ``call_main`` after `prepare`; then the files whose input has ended are written."""
    prepare(cfg)
    result = stock_call_main(cfg, main, **kwargs)
    recording.write_open_files()
    return result


def _generate_after_checks(module: Any) -> None:
    stock_main = module.main

    @_in_one_line
    def main(args: Any) -> Any:
        cfg = convert_namespace_to_omegaconf(args) if isinstance(args, Namespace) else args
        check_search(cfg)
        return stock_main(cfg)

    module.main = main


def _train_after_checks(module: Any) -> None:
    stock_add_defaults = module.add_defaults

    @_in_one_line
    def add_defaults(cfg: Any) -> None:
        stock_add_defaults(cfg)
        prepare(cfg)

    module.add_defaults = add_defaults


distributed.call_main = _call_main
for _command, _wrap in (("generate", _generate_after_checks), ("train", _train_after_checks)):
    if _module := sys.modules.get(f"fairseq_cli.{_command}"):
        _wrap(_module)
