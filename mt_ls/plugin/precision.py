"""The precision that fairseq trains in: no TPU in the place of a GPU, and no half precision on a CPU.

``fairseq.options.parse_args_and_arch`` sets ``args.tpu = True`` with --bf16 and --memory-efficient-bf16, whatever the
device; the trainer then asks for an XLA device, which is None. `prepare_precision` undoes that.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import torch

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
