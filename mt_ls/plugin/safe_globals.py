"""Lets torch load fairseq's checkpoints with its safe unpickler.

torch >= 2.6 reads checkpoints with ``weights_only=True`` and refuses the configuration objects that fairseq keeps in
them. Importing this module allows those, by name; everything else stays refused.
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
