"""The device of the kernels' tests: a GPU, or a CPU with Triton's interpreter. It must be imported before Triton."""

import os

import torch

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
if DEVICE == "cpu":
    os.environ["TRITON_INTERPRET"] = "1"
