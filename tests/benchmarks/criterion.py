"""Hidden states to loss, gradients and calibration statistics, against fairseq's stock criterion and torch's own.

On a GPU also against the compiled cross entropy of torch, and Liger's kernel where it is installed. Both give the loss
alone.
"""

from __future__ import annotations

import functools
import importlib.util
import multiprocessing
from collections.abc import Callable

import torch
from fairseq.criterions.label_smoothed_cross_entropy import label_smoothed_nll_loss
from harness import DEVICE, Row, alternate, device_seconds, peak_memory, row, seconds
from torch.nn import functional

from mt_ls.calibration.sums import bin_sums
from mt_ls.smoothing.cpu import has_bfloat16
from mt_ls.smoothing.hidden import linear_smoothed_cross_entropy
from mt_ls.smoothing.kinds import Smoothing

FLOOR = "three products alone"
SIZES = ((3584, 128, 8000), (2048, 512, 32000))
TARGETS = {(SIZES[0], "stock"): "<= 0.50", (SIZES[0], FLOOR): "<= 1.20", (SIZES[1], FLOOR): "<= 1.20"}
IN_BFLOAT16 = {SIZES[0]: "<= 0.20", SIZES[1]: "<= 0.30"}
GPU_SIZES = (
    (3584, 128, 8000, torch.float32),
    (4096, 512, 32000, torch.bfloat16),
    (8192, 1024, 32000, torch.bfloat16),
    (4096, 512, 32000, torch.float16),
)
GPU_TARGETS = {
    (GPU_SIZES[0], "stock"): "<= 0.70",
    (GPU_SIZES[0], "Liger"): "<= 0.25",
    (GPU_SIZES[1], "stock"): "<= 0.36",
    (GPU_SIZES[1], "F.cross_entropy, compiled"): "<= 1.00",
    (GPU_SIZES[1], "Liger"): "<= 0.25",
    (GPU_SIZES[2], FLOOR): "<= 1.35",
}
SMOOTHING = Smoothing(amount=0.1, convention="fairseq")
Problem = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def problem(n: int, width: int, n_classes: int, dtype: torch.dtype = torch.float32) -> Problem:
    """(Hidden states (N, D), weight (V, D), target (N,)) with logits of a standard deviation near 2."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(n, width, generator=generator)
    weight = torch.randn(n_classes, width, generator=generator) * 2 / width**0.5
    target = torch.randint(n_classes, (n,), generator=generator)
    return hidden.to(DEVICE, dtype).requires_grad_(), weight.to(DEVICE, dtype).requires_grad_(), target.to(DEVICE)


def plugin(hidden: torch.Tensor, weight: torch.Tensor, target: torch.Tensor, products: str = "float32") -> torch.Tensor:
    """Everything that the plugin's criterion computes, the bins included."""
    total, rows = linear_smoothed_cross_entropy(hidden, weight, target, SMOOTHING, products=products)
    bin_sums(rows.confidence, rows.hit)
    return total


def stock(hidden: torch.Tensor, weight: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The output projection and fairseq's criterion, without calibration."""
    log_p = functional.linear(hidden, weight).log_softmax(
        dim=-1, dtype=torch.promote_types(hidden.dtype, torch.float32)
    )
    return label_smoothed_nll_loss(log_p, target, 0.1)[0]


def torch_cross_entropy(hidden: torch.Tensor, weight: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """torch's cross entropy after a projection."""
    logits = functional.linear(hidden, weight).float()
    return functional.cross_entropy(logits, target, label_smoothing=0.1, reduction="sum")


def torch_linear_cross_entropy(hidden: torch.Tensor, weight: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """torch's fused projection and cross entropy."""
    return functional.linear_cross_entropy(hidden, weight, target, label_smoothing=0.1, reduction="sum")


def step(loss: Loss, inputs: Problem) -> None:
    """Loss and gradients of both inputs."""
    torch.autograd.grad(loss(*inputs), inputs[:2])


def floor(hidden: torch.Tensor, weight: torch.Tensor, target: torch.Tensor, dtype: torch.dtype = torch.float32) -> None:
    """The three matrix products that no implementation can leave out."""
    with torch.no_grad():
        hidden, weight = hidden.to(dtype), weight.to(dtype)
        logits = hidden @ weight.t()
        logits @ weight
        logits.t() @ hidden


def benchmark(rounds: int = 9) -> list[Row]:
    """Every comparison at every size."""
    if DEVICE == "cuda":
        return [each for size in GPU_SIZES for each in _on_a_gpu(size, rounds)]
    rows = []
    for size in SIZES:
        inputs = problem(*size)
        case = "N, D, V = {}, {}, {}; float32".format(*size)
        baselines: dict[str, Callable[[], None]] = {"stock": lambda inputs=inputs: step(stock, inputs)}
        baselines["F.cross_entropy"] = lambda inputs=inputs: step(torch_cross_entropy, inputs)
        if hasattr(functional, "linear_cross_entropy"):
            baselines["F.linear_cross_entropy"] = lambda inputs=inputs: step(torch_linear_cross_entropy, inputs)
        baselines[FLOOR] = lambda inputs=inputs: floor(*inputs)
        for name, baseline in baselines.items():
            times = _times(lambda inputs=inputs: step(plugin, inputs), baseline, rounds)
            rows.append(row("criterion", case, name, *times, "s", target=TARGETS.get((size, name))))
        if has_bfloat16():
            rows += _in_bfloat16(size, inputs, rounds)
        memory = [[peak(name, size) for _ in range(3)] for name in LOSSES]
        rows.append(row("criterion", case, "stock", *memory, "MB, extra peak memory", target="<= 0.15"))
        for name, pair in errors(*size).items():
            rows.append(row("criterion", case, "stock", *([value] for value in pair), f"relative error of the {name}"))
    return rows


def _on_a_gpu(size: tuple[int, int, int, torch.dtype], rounds: int) -> list[Row]:
    """Time, memory and error at one size; a rival's time is that of its loss and gradients."""
    inputs, dtype = problem(*size), size[3]
    case = "N, D, V = {}, {}, {}; {}".format(*size[:3], str(dtype).removeprefix("torch."))
    rivals: dict[str, Callable[[], None]] = {
        name: lambda loss=loss: step(loss, inputs)
        for name, loss in {
            "stock": stock,
            "F.cross_entropy": torch_cross_entropy,
            "F.cross_entropy, compiled": torch.compile(torch_cross_entropy),
            **_liger(),
        }.items()
    }
    rivals[FLOOR] = lambda: floor(*inputs, dtype)
    ours = functools.partial(step, plugin, inputs)
    rows = []
    for name, rival in rivals.items():
        times = alternate(lambda: device_seconds(ours), lambda rival=rival: device_seconds(rival), rounds, 3)
        rows.append(row("criterion", case, name, *times, "s", target=GPU_TARGETS.get((size, name))))
    memory = [[peak_memory(lambda loss=loss: step(loss, inputs)) for _ in range(3)] for loss in (plugin, stock)]
    target = "<= 0.25" if size == GPU_SIZES[1] else None
    rows.append(row("criterion", case, "stock", *memory, "MB, extra peak memory", target=target))
    for name, pair in errors(*size).items():
        target = "<= 1.00" if "gradient" in name else None
        rows.append(row("criterion", case, "stock", *([v] for v in pair), f"relative error of the {name}", target))
    return rows


def _liger() -> dict[str, Loss]:
    if importlib.util.find_spec("liger_kernel") is None:
        return {}
    from liger_kernel.transformers import LigerFusedLinearCrossEntropyLoss

    loss = LigerFusedLinearCrossEntropyLoss(label_smoothing=0.1, reduction="sum")
    return {"Liger": lambda hidden, weight, target: loss(weight, hidden, target)}


def _times(first: Callable[[], None], second: Callable[[], None], rounds: int) -> tuple[list[float], list[float]]:
    return alternate(lambda: seconds(first), lambda: seconds(second), rounds)


def _in_bfloat16(size: tuple[int, int, int], inputs: Problem, rounds: int) -> list[Row]:
    """Products in bfloat16 against stock in float32, and against the products alone: time and error."""
    rounded = functools.partial(plugin, products="bfloat16")
    case = "N, D, V = {}, {}, {}; bfloat16 products".format(*size)
    rows = []
    for name, baseline in (
        ("stock, float32", lambda: step(stock, inputs)),
        (FLOOR, lambda: floor(*inputs, torch.bfloat16)),
    ):
        times = _times(lambda: step(rounded, inputs), baseline, rounds)
        rows.append(row("criterion", case, name, *times, "s", target=IN_BFLOAT16[size] if "stock" in name else None))
    for name, pair in errors(*size, loss=rounded).items():
        rows.append(row("criterion", case, "stock, float32", *([v] for v in pair), f"relative error of the {name}"))
    return rows


def errors(
    n: int, width: int, n_classes: int, dtype: torch.dtype = torch.float32, loss: Loss = plugin
) -> dict[str, tuple[float, float]]:
    """Norm of the error of ``loss`` and of stock, relative to stock in float64."""
    inputs = problem(n, width, n_classes, dtype)
    exact_inputs = [values.detach().double().requires_grad_() for values in inputs[:2]]
    exact_loss = stock(*exact_inputs, inputs[2])
    exact = [exact_loss.detach(), *torch.autograd.grad(exact_loss, exact_inputs)]
    both = []
    for function in (loss, stock):
        value = function(*inputs)
        results = [value.detach(), *torch.autograd.grad(value, inputs[:2])]
        both.append([((a.double() - b).norm() / b.norm()).item() for a, b in zip(results, exact, strict=True)])
    names = ("loss", "gradient of the hidden states", "gradient of the weight")
    return dict(zip(names, zip(*both, strict=True), strict=True))


LOSSES = {"plugin": plugin, "stock": stock}


def peak(name: str, size: tuple[int, int, int]) -> float:
    """Extra peak memory (MB) of one step in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak, (name, size))


def _peak(name: str, size: tuple[int, int, int]) -> float:
    step(LOSSES[name], problem(64, 8, 100))  # libraries load their code
    inputs = problem(*size)
    return peak_memory(lambda: step(LOSSES[name], inputs))
