"""Hidden states to loss, gradients and calibration statistics, against fairseq's stock criterion and torch's own."""

from __future__ import annotations

import functools
import multiprocessing
from collections.abc import Callable

import torch
from fairseq.criterions.label_smoothed_cross_entropy import label_smoothed_nll_loss
from harness import DEVICE, Row, alternate, peak_memory, row, seconds
from torch.nn import functional

from mt_ls.calibration.bins import bin_sums
from mt_ls.smoothing.loss import linear_smoothed_cross_entropy

FLOOR = "three products alone"
SIZES = ((3584, 128, 8000), (2048, 512, 32000))
TARGETS = {(SIZES[0], "stock"): "<= 0.50", (SIZES[0], FLOOR): "<= 1.20", (SIZES[1], FLOOR): "<= 1.20"}
IN_BFLOAT16 = {SIZES[0]: "<= 0.20", SIZES[1]: "<= 0.30"}
Problem = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def problem(n: int, width: int, n_classes: int) -> Problem:
    """(features (N, D), weight (V, D), target (N,)) with logits of a standard deviation near 2."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(n, width, generator=generator)
    weight = torch.randn(n_classes, width, generator=generator) * 2 / width**0.5
    target = torch.randint(n_classes, (n,), generator=generator)
    return features.to(DEVICE).requires_grad_(), weight.to(DEVICE).requires_grad_(), target.to(DEVICE)


def ours(features: torch.Tensor, weight: torch.Tensor, target: torch.Tensor, products: str = "float32") -> torch.Tensor:
    """Everything that our criterion does, the bins included."""
    total, rows = linear_smoothed_cross_entropy(features, weight, target, 0.1, "fairseq", products)
    bin_sums(rows.confidence, rows.hit)
    return total


def stock(features: torch.Tensor, weight: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The output projection and fairseq's criterion: no calibration."""
    log_p = functional.linear(features, weight).log_softmax(dim=-1)
    return label_smoothed_nll_loss(log_p, target, 0.1)[0]


def torch_cross_entropy(features: torch.Tensor, weight: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """torch's cross entropy after a projection."""
    logits = functional.linear(features, weight)
    return functional.cross_entropy(logits, target, label_smoothing=0.1, reduction="sum")


def torch_linear_cross_entropy(features: torch.Tensor, weight: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """torch's fused projection and cross entropy."""
    return functional.linear_cross_entropy(features, weight, target, label_smoothing=0.1, reduction="sum")


def step(loss: Callable[..., torch.Tensor], inputs: Problem) -> None:
    """Loss and gradients of both inputs."""
    torch.autograd.grad(loss(*inputs), inputs[:2])


def floor(
    features: torch.Tensor, weight: torch.Tensor, target: torch.Tensor, dtype: torch.dtype = torch.float32
) -> None:
    """The three matrix products that no implementation can leave out."""
    with torch.no_grad():
        features, weight = features.to(dtype), weight.to(dtype)
        logits = features @ weight.t()
        logits @ weight
        logits.t() @ features


def benchmark(rounds: int = 9) -> list[Row]:
    """Every comparison at every size."""
    rows = []
    for size in SIZES:
        inputs = problem(*size)
        case = "N, D, V = {}, {}, {}; float32".format(*size)
        rivals: dict[str, Callable[[], None]] = {"stock": lambda inputs=inputs: step(stock, inputs)}
        rivals["F.cross_entropy"] = lambda inputs=inputs: step(torch_cross_entropy, inputs)
        if hasattr(functional, "linear_cross_entropy"):
            rivals["F.linear_cross_entropy"] = lambda inputs=inputs: step(torch_linear_cross_entropy, inputs)
        rivals[FLOOR] = lambda inputs=inputs: floor(*inputs)
        for name, rival in rivals.items():
            times = alternate(
                lambda inputs=inputs: seconds(lambda: step(ours, inputs)), lambda rival=rival: seconds(rival), rounds
            )
            rows.append(row("criterion", case, name, *times, "s", target=TARGETS.get((size, name))))
        if torch.ops.mkldnn._is_mkldnn_bf16_supported():
            rows += _in_bfloat16(size, inputs, rounds)
        memory = [[peak(name, size) for _ in range(3)] for name in ("ours", "stock")]
        rows.append(row("criterion", case, "stock", *memory, "MB, extra peak memory", target="<= 0.15"))
        for what, pair in errors(*size).items():
            rows.append(row("criterion", case, "stock", *([value] for value in pair), f"relative error of the {what}"))
    return rows


def _in_bfloat16(size: tuple[int, int, int], inputs: Problem, rounds: int) -> list[Row]:
    """Products in bfloat16 against stock in float32, and against the products alone: time and error."""
    rough = functools.partial(ours, products="bfloat16")
    case = "N, D, V = {}, {}, {}; bfloat16 products".format(*size)
    rows = []
    for name, rival in (
        ("stock, float32", lambda: step(stock, inputs)),
        (FLOOR, lambda: floor(*inputs, torch.bfloat16)),
    ):
        times = alternate(lambda: seconds(lambda: step(rough, inputs)), lambda rival=rival: seconds(rival), rounds)
        rows.append(row("criterion", case, name, *times, "s", target=IN_BFLOAT16[size] if "stock" in name else None))
    for what, pair in errors(*size, rough).items():
        rows.append(row("criterion", case, "stock, float32", *([v] for v in pair), f"relative error of the {what}"))
    return rows


def errors(
    n: int, width: int, n_classes: int, loss_of_ours: Callable[..., torch.Tensor] = ours
) -> dict[str, tuple[float, float]]:
    """Norm of the error of ours and of stock, relative to stock in float64."""
    inputs = problem(n, width, n_classes)
    exact_inputs = [values.detach().double().requires_grad_() for values in inputs[:2]]
    exact_loss = stock(*exact_inputs, inputs[2])
    exact = [exact_loss.detach(), *torch.autograd.grad(exact_loss, exact_inputs)]
    found = []
    for loss in (loss_of_ours, stock):
        value = loss(*inputs)
        results = [value.detach(), *torch.autograd.grad(value, inputs[:2])]
        found.append([((a.double() - b).norm() / b.norm()).item() for a, b in zip(results, exact, strict=True)])
    names = ("loss", "gradient of the features", "gradient of the weight")
    return dict(zip(names, zip(*found, strict=True), strict=True))


def peak(name: str, size: tuple[int, int, int]) -> float:
    """Extra peak memory (MB) of one step in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak, (name, size))


def _peak(name: str, size: tuple[int, int, int]) -> float:
    loss = {"ours": ours, "stock": stock}[name]
    step(loss, problem(64, 8, 100))  # libraries load their code
    inputs = problem(*size)
    return peak_memory(lambda: step(loss, inputs))
