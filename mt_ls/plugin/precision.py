"""The precision that fairseq trains in: no TPU in the place of a GPU, and no half precision on a CPU.

``fairseq.options.parse_args_and_arch`` sets ``args.tpu = True`` with --bf16 and --memory-efficient-bf16, whatever the
device; the trainer then asks for an XLA device, which is None. `prepare_precision` undoes that.

Importing this module wraps ``fairseq.distributed.utils.call_main``, so that the stock commands with ``--user-dir`` call
`prepare_precision` too. Each command calls ``call_main`` once, as an attribute of its module, between parsing and
training. No later hook serves: with several GPUs ``call_main`` itself looks for a TPU, before a task or a criterion is
set up. No earlier hook does: parsing sets ``args.tpu`` last, and then calls the architecture's function alone, which
may be a stock one.
"""

from __future__ import annotations

import functools
import importlib.util
from typing import Any

import torch
from fairseq.distributed import utils as distributed

_HALF = ("memory_efficient_bf16", "memory_efficient_fp16", "bf16", "fp16")


def prepare_precision(cfg: Any) -> None:
    """Let a parsed configuration train in bf16 on a GPU.

    Raises ValueError for a training in bf16 or fp16 without a GPU. A TPU is left alone: torch_xla is then installed.
    """
    if cfg.common.bf16 and importlib.util.find_spec("torch_xla") is None:
        for name in cfg:  # parsing has copied the option into other sections: distributed_training, optimizer, model
            if hasattr(cfg[name], "tpu"):
                cfg[name].tpu = False
    trains = cfg.model is not None  # validating and generating take the model from a checkpoint
    on_cpu = cfg.common.cpu or not (torch.cuda.is_available() or cfg.common.tpu)
    option = next((option for option in _HALF if cfg.common[option]), None)
    if trains and on_cpu and option:
        raise ValueError(f"--{option.replace('_', '-')} trains on a GPU only: leave it out on a CPU")


def _prepared(call_main: Any) -> Any:
    """fairseq's ``call_main`` after `prepare_precision`; an error of that ends the command in one line."""

    @functools.wraps(call_main)
    def prepared_call_main(cfg: Any, main: Any, **kwargs: Any) -> Any:
        try:
            prepare_precision(cfg)
        except ValueError as error:
            raise SystemExit(f"error: {error}") from None
        return call_main(cfg, main, **kwargs)

    return prepared_call_main


distributed.call_main = _prepared(distributed.call_main)
