"""What importing the plugin does to a process that runs fairseq: it lets checkpoints load, and registers.

torch >= 2.6 unpickles checkpoints with ``weights_only=True`` and refuses the plain configuration objects that
fairseq keeps in them. They are allowed here by name, so that the safe unpickler stays on.
"""

import argparse
import collections
from typing import Any

import numpy as np
import torch
from fairseq.distributed.utils import _TensorPlaceholder
from numpy._core import multiarray
from omegaconf import DictConfig, ListConfig
from omegaconf.base import ContainerMetadata, Metadata
from omegaconf.nodes import AnyNode

from . import architectures, criterion, task  # noqa: F401

_ARRAY_PARTS: list[Any] = [np.ndarray, np.dtype, *(type(np.dtype(t)) for t in ("i8", "i4", "f8", "f4", "?"))]
# numpy 1 and 2 pickle the same functions under different module names.
_ARRAY_FUNCTIONS = [
    (getattr(multiarray, name), f"{package}.multiarray.{name}")
    for name in ("_reconstruct", "scalar")
    for package in ("numpy.core", "numpy._core")
]
_CONFIGURATION: list[Any] = [argparse.Namespace, DictConfig, ListConfig, Metadata, ContainerMetadata, AnyNode, Any]
_CONTAINERS: list[Any] = [collections.defaultdict, dict, list, int, _TensorPlaceholder]

torch.serialization.add_safe_globals([*_ARRAY_PARTS, *_ARRAY_FUNCTIONS, *_CONFIGURATION, *_CONTAINERS])
