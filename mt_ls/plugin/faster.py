"""The names of ``--faster``: parts of a training that run in less time, each of which can be left out by name.

A training has the same model, the same names in its checkpoints and, from the same seed, the same losses to float noise
with any of them on or off. On a CPU the numbers are equal.
"""

from __future__ import annotations

from typing import Any

NAMES = {
    "adam": "the update of fairseq's Adam is one kernel (on a GPU)",
    "attention": "a training Transformer has fused attention everywhere, and makes no attention weights (on a GPU)",
    "batches": "collated batches of a small corpus stay in memory, on a GPU in its memory, for later epochs",
    "clipping": "the gradient's norm takes a few kernels in place of some for each parameter (on a GPU)",
    "copies": "--fp16 and --bf16 copy gradients and parameters in a few kernels; --fp16 waits once an update",
    "dropout": "dropout draws its masks in less time (on some CPUs)",
    "log": "losses stay on the GPU until the log prints them, so that no update waits for another (on one GPU)",
}
HELP = (
    "parts of the training that run in less time with the same result: all, none, or names with commas between: "
    + "; ".join(f"{name}: {text}" for name, text in NAMES.items())
)


def parse_names(value: str) -> frozenset[str]:
    """The names of a value of ``--faster``. Raises ValueError for an unknown one."""
    if value in ("all", "none"):
        return frozenset(NAMES if value == "all" else ())
    names = {name.strip() for name in value.split(",")}
    if unknown := sorted(names - NAMES.keys()):
        listed = ", ".join(map(repr, unknown))
        raise ValueError(f"--faster knows no {listed}: choose all, none, or of {', '.join(NAMES)}")
    return frozenset(names)


def names_of(task: Any) -> frozenset[str]:
    """The names that a task has been given; none for another task than ours."""
    return parse_names(getattr(getattr(task, "cfg", None), "faster", "none"))
