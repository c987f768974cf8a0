"""python -m mt_ls.smoothing.conformance MODULE:FUNCTION: which convention of label smoothing a loss function follows.

The function is called as ``torch.nn.functional.cross_entropy`` is: ``f(logits, targets, label_smoothing=,
ignore_index=)``, with logits (N, K) and targets (N,), and returns a scalar. One that also takes ``num_items_in_batch``,
the tokens of all batches of an update, is told them. Its losses and gradients are compared with those in
``conformance.json``, which has every number that a test in another language needs.

Status 0 if the function follows a convention, padding has no effect, and what it is told of other batches is used
rightly; 1 if not; 2 for a function that cannot be called.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch

from ..terminal import first_line, prepare

Loss = Callable[..., torch.Tensor]
FILE = Path(__file__).with_suffix(".json")
CONVENTIONS = {
    "paper": "alpha/K on every class, and 1 - alpha more on the target (torch, timm, fairseq before 2021)",
    "fairseq": "1 - alpha on the target, alpha/(K-1) on the others (fairseq since 2021)",
    "tensor2tensor": "the targets of fairseq, and the loss less their entropy",
    "joeynmt": "1 - alpha on the target, alpha/(K-2) on the others but the padding, and the loss less their entropy",
}
_REDUCTIONS = ("sum", "mean over the tokens", "mean over tokens and padding")
_TOLERANCE = 1e-4


class Batch(msgspec.Struct, forbid_unknown_fields=True):
    """Logits (N, K) and targets (N,), some of which may be the padding."""

    logits: list[list[float]]
    targets: list[int]


class Expected(msgspec.Struct, forbid_unknown_fields=True):
    """Of each batch, the loss summed over its tokens, in nats, and the gradient (N, K) of that sum."""

    losses: list[float]
    gradients: list[list[list[float]]]


class Case(msgspec.Struct, forbid_unknown_fields=True):
    """Batches of one update, and what each convention makes of them."""

    name: str
    label_smoothing: float
    ignore_index: int
    batches: list[Batch]
    expected: dict[str, Expected]


class ConformanceError(ValueError):
    """A loss function that cannot be found or called. The message is one line."""


@dataclass(frozen=True)
class Finding:
    """The convention and the reduction that a function follows; None where it follows none of them.

    ``gradient_alone`` says that its loss is another one. ``factor`` is the gradient of an update of several batches
    over that of the same tokens in one, None where they are equal; ``is_told``: it was told the number of tokens.
    """

    convention: str | None
    reduction: str | None
    gradient_alone: bool = False
    factor: float | None = None
    is_told: bool = False

    @property
    def is_conforming(self) -> bool:
        """Whether it is a convention, without a fault in padding, or in accumulation though it was told the tokens."""
        is_sound = self.reduction != _REDUCTIONS[2] and not (self.is_told and self.factor is not None)
        return self.convention is not None and is_sound

    def lines(self) -> list[str]:
        """The finding in words."""
        if self.convention is None:
            return ["follows none of the conventions: " + ", ".join(CONVENTIONS)]
        of = f"{self.convention}: {CONVENTIONS[self.convention]}"
        lines = [
            f"gradient of {of}; its loss is another one" if self.gradient_alone else of,
            f"reduction: {self.reduction}",
        ]
        if self.reduction == _REDUCTIONS[2]:
            lines.append("padding: it counts in the mean; divide by the tokens alone")
        if self.factor is not None:
            lines.append(
                f"accumulation: batches of an update give {self.factor:.3g} times the gradient of their tokens in one "
                "batch; sum over tokens, and divide by those of all batches"
            )
        return lines


def cases() -> list[Case]:
    """The cases of ``conformance.json``."""
    return msgspec.json.decode(FILE.read_bytes(), type=list[Case])


def check(loss: Loss) -> Finding:
    """The finding on a loss function. Raises ConformanceError where it cannot be called, or gives no scalar."""
    known = cases()
    for reduction in _REDUCTIONS:
        matching = [name for name in CONVENTIONS if all(_matches(loss, case, name, reduction)[0] for case in known)]
        if matching:
            exact = [name for name in matching if all(_matches(loss, case, name, reduction)[1] for case in known)]
            factor = None if reduction == _REDUCTIONS[0] else _factor(loss, known)
            return Finding((exact or matching)[0], reduction, not exact, factor, _is_told(loss))
    return Finding(None, None)


def _matches(loss: Loss, case: Case, convention: str, reduction: str) -> tuple[bool, bool]:
    """Whether the gradients, and whether also the losses, of single batches are those of a convention."""
    expected, gradients, losses = case.expected[convention], [], []
    for number, batch in enumerate(case.batches):
        value, gradient = _evaluated(loss, case, batch)
        n_tokens = sum(target != case.ignore_index for target in batch.targets)
        scale = dict(zip(_REDUCTIONS, (1, n_tokens, len(batch.targets)), strict=True))[reduction]
        gradients.append(_close(gradient * scale, torch.tensor(expected.gradients[number])))
        losses.append(_close(torch.tensor(value * scale), torch.tensor(expected.losses[number])))
    return all(gradients), all(gradients) and all(losses)


def _factor(loss: Loss, known: Sequence[Case]) -> float | None:
    """The norm of the accumulated gradient over that of all tokens in one batch, None where they are equal."""
    for case in known:
        together = Batch([row for b in case.batches for row in b.logits], [t for b in case.batches for t in b.targets])
        n_tokens = sum(target != case.ignore_index for target in together.targets)
        parts = torch.cat([_evaluated(loss, case, batch, n_tokens)[1] for batch in case.batches])
        whole = _evaluated(loss, case, together)[1]
        if not _close(parts, whole):
            return float(parts.norm() / whole.norm())
    return None


def _evaluated(loss: Loss, case: Case, batch: Batch, n_items: int | None = None) -> tuple[float, torch.Tensor]:
    """The loss of a batch and its gradient. ``n_items`` are the tokens of the update, where it takes them."""
    logits = torch.tensor(batch.logits, requires_grad=True)
    options: dict[str, Any] = {"label_smoothing": case.label_smoothing, "ignore_index": case.ignore_index}
    if n_items is not None and _is_told(loss):
        options["num_items_in_batch"] = n_items
    try:
        value = loss(logits, torch.tensor(batch.targets), **options)
        (gradient,) = torch.autograd.grad(value, logits)
    except Exception as error:  # the function is the user's
        raise ConformanceError(
            f"the function cannot be called ({first_line(error)}); it must take logits (N, K), targets (N,), "
            "label_smoothing and ignore_index, and return a scalar with a gradient"
        ) from None
    return float(value.detach()), gradient


def _is_told(loss: Loss) -> bool:
    try:
        return "num_items_in_batch" in inspect.signature(loss).parameters
    except (TypeError, ValueError):  # of a function that is not written in Python
        return False


def _close(first: torch.Tensor, second: torch.Tensor) -> bool:
    return torch.allclose(first, second, rtol=_TOLERANCE, atol=_TOLERANCE)


def function_of(name: str) -> Loss:
    """The function MODULE:FUNCTION, of the current folder or of a package. Raises ConformanceError for none."""
    module, _, attribute = name.partition(":")
    if not attribute:
        raise ConformanceError(
            f"{name}: name a function as MODULE:FUNCTION, for example torch.nn.functional:cross_entropy"
        )
    try:
        found = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except Exception as error:  # a module runs whatever it holds
        raise ConformanceError(f"{name}: cannot be imported ({first_line(error)})") from None
    return found  # type: ignore[return-value]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the finding; 0, 1 where the function does not conform, or 2 with one line on stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m mt_ls.smoothing.conformance",
        description=str(__doc__).split("\n\n", 1)[1],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("function", metavar="MODULE:FUNCTION", help="for example torch.nn.functional:cross_entropy")
    options = parser.parse_args(arguments)
    sys.path.insert(0, os.getcwd())
    try:
        finding = check(function_of(options.function))
    except ConformanceError as error:
        print(f"mt_ls.smoothing.conformance: error: {error}", file=sys.stderr)
        return 2
    print("\n".join(finding.lines()))
    return 0 if finding.is_conforming else 1


if __name__ == "__main__":
    prepare("mt_ls.smoothing.conformance")
    sys.exit(main())
