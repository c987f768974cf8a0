"""The parsed configuration of a command of fairseq: bad values end it in one line, before anything is built.

Importing this module wraps ``fairseq.distributed.utils.call_main``, so that the stock commands with ``--user-dir`` call
`prepare` too. Each command calls ``call_main`` once, as an attribute of its module, between parsing and its work. No
later hook serves: with several GPUs ``call_main`` itself looks for a TPU, before a task or a criterion is set up. No
earlier hook does: parsing sets ``args.tpu`` last, and then calls the architecture's function alone, which may be a
stock one.

fairseq-hydra-train alone imports the plugin after ``call_main``, and completes the configuration right then. So that
step of ``fairseq_cli.train`` is wrapped as well, where that module is imported.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

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
        if _name(cfg.task) == task.NAME:
            faster.parse_names(cfg.task.faster)
            if cfg.task.calibration_records:
                recording.check_writable(cfg.task.calibration_records)
        check_temperature(cfg.generation.temperature)
        if cfg.model is not None:  # it trains
            check_curves(cfg.common)


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
@functools.wraps(stock_call_main)
def call_main(cfg: Any, main: Any, **kwargs: Any) -> Any:
    """fairseq's ``call_main`` after `prepare`; then the files whose input has ended are written."""
    prepare(cfg)
    result = stock_call_main(cfg, main, **kwargs)
    recording.write_open_files()
    return result


distributed.call_main = call_main

if "fairseq_cli.train" in sys.modules:
    _train: Any = sys.modules["fairseq_cli.train"]
    _add_defaults = _train.add_defaults

    @_in_one_line
    @functools.wraps(_add_defaults)
    def add_defaults(cfg: Any) -> None:
        """fairseq's ``add_defaults``, and then `prepare`."""
        _add_defaults(cfg)
        prepare(cfg)

    _train.add_defaults = add_defaults
