"""fairseq's Adam, gradient clipping and copies of half precision in a few kernels, for a GPU.

fairseq without apex runs each of them as a Python loop over the parameters, with up to twelve kernels in each turn. The
state, its names and so the checkpoints are those of fairseq, in both directions.
"""

from __future__ import annotations

import math
import types
from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import Any

import torch
from fairseq import optim
from fairseq.optim import adam

_HALF = (torch.float16, torch.bfloat16)
_CONVERTED_AT_ONCE = 2**24  # parameters of half precision that have a float32 copy at one time: 128 MB with gradients


def hasten_optimizer(optimizer: Any, names: Collection[str]) -> None:
    """Turn parts of a fairseq optimizer into faster ones by the names of `mt_ls.plugin.faster`.

    Whatever is not fairseq's own (apex's Adam, another optimizer) stays as it is.
    """
    if "copies" in names and type(optimizer) is optim.FP16Optimizer:
        optimizer.__class__ = FP16Optimizer
    inner = getattr(optimizer, "fp32_optimizer", getattr(optimizer, "wrapped_optimizer", optimizer))
    if "clipping" in names and type(inner).clip_grad_norm is optim.FairseqOptimizer.clip_grad_norm:
        inner.clip_grad_norm = types.MethodType(clip_grad_norm, inner)
    if "adam" in names and type(inner) is adam.FairseqAdam and type(inner.optimizer) is adam.Adam:
        inner.optimizer.__class__ = FusedAdam


class FusedAdam(adam.Adam):
    """fairseq's Adam, by torch's fused kernel.

    fairseq adds epsilon to sqrt(v) before the bias correction and torch adds it after, so that the kernel gets
    epsilon / sqrt(1 - beta2^t).
    """

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Update all parameters that have a gradient; return the closure's loss."""
        loss = None if closure is None else closure()
        for group in self.param_groups:
            alike = defaultdict(list)
            for p in group["params"]:
                if p.grad is not None:
                    alike[self._begin(p), p.device, p.dtype].append(p)
            for (step, _, dtype), params in alike.items():
                if dtype in _HALF:
                    for part in _parts(params):
                        self._update_half(part, step, group)
                else:
                    self._update(params, _gradients(params), params, step, group)
        return loss

    def _begin(self, p: torch.Tensor) -> int:
        """The number of this update of a parameter, whose state is made where it is missing."""
        state = self.state[p]
        if not state:
            state["step"] = 0
            state["exp_avg"], state["exp_avg_sq"] = (torch.zeros_like(p, dtype=torch.float32) for _ in range(2))
        for moment in ("exp_avg", "exp_avg_sq"):  # those of a checkpoint can come on the CPU
            state[moment] = state[moment].to(p.device, torch.float32)
        state["step"] += 1
        return state["step"]

    def _update_half(self, params: list[torch.Tensor], step: int, group: dict[str, Any]) -> None:
        exact, gradients = ([torch.empty_like(p, dtype=torch.float32) for p in params] for _ in range(2))
        torch._foreach_copy_(exact, params)
        torch._foreach_copy_(gradients, _gradients(params))
        self._update(exact, gradients, params, step, group)
        torch._foreach_copy_(params, exact)

    def _update(
        self,
        values: list[torch.Tensor],
        gradients: list[torch.Tensor],
        params: list[torch.Tensor],
        step: int,
        group: dict[str, Any],
    ) -> None:
        beta1, beta2 = group["betas"]
        torch._fused_adamw_(
            values,
            gradients,
            [self.state[p]["exp_avg"] for p in params],
            [self.state[p]["exp_avg_sq"] for p in params],
            [],
            [torch.full((), float(step), device=params[0].device)] * len(params),
            lr=group["lr"],
            beta1=beta1,
            beta2=beta2,
            weight_decay=group["weight_decay"],
            eps=_eps_after_correction(group["eps"], beta2, step),
            amsgrad=False,
            maximize=False,
        )


def _gradients(params: list[torch.Tensor]) -> list[Any]:
    return [p.grad for p in params]


def _eps_after_correction(eps: float, beta2: float, step: int) -> float:
    """The epsilon beside sqrt(v / (1 - beta2^t)) that does what ``eps`` does beside sqrt(v)."""
    return eps / math.sqrt(1 - beta2**step)


def _parts(params: list[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """The parameters in parts of at most `_CONVERTED_AT_ONCE` elements, or of one parameter that is larger."""
    part: list[torch.Tensor] = []
    size = 0
    for p in params:
        if part and size + p.numel() > _CONVERTED_AT_ONCE:
            yield part
            part, size = [], 0
        part.append(p)
        size += p.numel()
    yield part


def clip_grad_norm(self: Any, max_norm: float, aggregate_norm_fn: Any = None) -> torch.Tensor:
    """Scale the gradients of an optimizer to a norm of at most ``max_norm`` (0: any); return the norm that they had."""
    params = [p for p in self.params if p.grad is not None]
    if not params or aggregate_norm_fn is not None or any(hasattr(p, "expert") for p in params):
        return optim.FairseqOptimizer.clip_grad_norm(self, max_norm, aggregate_norm_fn)
    gradients = [p.grad.detach() for p in params]
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients, 2, dtype=torch.float32)))
    if max_norm > 0:
        torch._foreach_mul_(gradients, (max_norm / (norm + 1e-6)).clamp_(max=1))
    return norm


class FP16Optimizer(optim.FP16Optimizer):
    """fairseq's optimizer of a float32 copy of a model in half precision. Its name is part of the checkpoints."""

    _needs_sync: bool

    def _sync_fp16_grads_to_fp32(self) -> None:
        params = [p for p in self.fp16_params if p.requires_grad]
        if not self._needs_sync or any(p.grad is None for p in params) or self._is_spread():
            super()._sync_fp16_grads_to_fp32()
            return
        gradients = [p.grad.detach() for p in params]
        if self.has_flat_params:
            (flat,) = self.fp32_params.values()
            copies = flat.grad.split([p.numel() for p in params])
            gradients = [gradient.reshape(-1) for gradient in gradients]
        else:
            copies = [p32.grad for p, p32 in zip(self.fp16_params, self.fp32_params, strict=True) if p.requires_grad]
        torch._foreach_copy_(list(copies), gradients)
        self._needs_sync = False

    @torch.no_grad()
    def _sync_fp32_params_to_fp16(self) -> None:
        if self._is_spread():
            super()._sync_fp32_params_to_fp16()
            return
        params: list[torch.Tensor] = list(self.fp16_params)
        if self.has_flat_params:
            (flat,) = self.fp32_params.values()
            copies = [part.view_as(p) for part, p in zip(flat.split([p.numel() for p in params]), params, strict=True)]
        else:
            copies = list(self.fp32_params)
        torch._foreach_copy_(params, copies)

    def _is_spread(self) -> bool:
        """Whether the float32 copy is on several devices, or lacks a gradient."""
        if self.has_flat_params:
            return len(self.fp32_params) > 1
        return any(p32.grad is None for p32 in self.fp32_params)

    def clip_grad_norm(self, max_norm: float, aggregate_norm_fn: Any = None) -> torch.Tensor:
        """The stock clipping, whose overflow is looked at once: the only wait of an update. Returns the norm, on the
        device of the gradients."""
        if self.scaler is None:
            return super().clip_grad_norm(max_norm, aggregate_norm_fn)
        self._sync_fp16_grads_to_fp32()
        norm = self._multiply_factor * self.fp32_optimizer.clip_grad_norm(0, aggregate_norm_fn)
        value = float(norm)
        if value > max_norm > 0.0:
            self._multiply_factor *= max_norm / value
        self.scaler.check_overflow(value)
        return norm

    def zero_grad(self) -> None:
        """Forget the gradients of the model; those of the float32 copy are written whole at every update."""
        for p in self.fp16_params:
            p.grad = None
        self._needs_sync = False
        if self.scaler is not None:
            self._multiply_factor = 1.0 / float(self.scaler.loss_scale)
