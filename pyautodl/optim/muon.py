"""Muon, whose steps for a matrix have singular values next to 1."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from pyautodl.autograd.grad_mode import enable_grad, no_grad
from pyautodl.functional.creation import zeros_like
from pyautodl.functional.matmul import addmm
from pyautodl.optim.optimizer import (
    Optimizer,
    ParamGroup,
    check_are_numbers,
    check_not_negative,
)
from pyautodl.tensor import Tensor

__all__ = ["Muon"]

_ADJUSTMENTS = (None, "original", "match_rms_adamw")
_MOST_STEPS = 100


class Muon(Optimizer):
    """Steps along the running mean of the gradient, made next to orthogonal.

    For the weights of hidden layers, matrices all; give others (biases, norms, embeddings)
    to AdamW. PyTorch iterates in bfloat16; here it is the parameter's own type, so that
    steps agree to some hundredths.

    Args:
        params: parameters with two axes, or dicts of them with options of their own.
        lr: the step size.
        weight_decay: decoupled: the parameter shrinks by lr times it.
        momentum: how much the running mean keeps in a step.
        nesterov: look ahead: mix the gradient into the mean once more.
        ns_coefficients: the factors of x, x^3 and x^5 in the Newton-Schulz iteration.
        eps: the least norm that a gradient is divided by.
        ns_steps: how many iterations.
        adjust_lr_fn: 'original' (None) makes the steps of tall matrices larger, by
            sqrt(rows / columns); 'match_rms_adamw' all by 0.2 sqrt(max(rows, columns)), as
            large as those of AdamW, whose lr and weight decay then fit.

    Raises:
        ValueError: an option is out of range, or a parameter has not two axes.
        TypeError: an option is no number.

    Example:
        >>> import pyautodl as ad
        >>> w = ad.zeros(2, 2, requires_grad=True)
        >>> optimizer = ad.optim.Muon([w], lr=0.1)
        >>> (3 * w).diagonal().sum().backward()
        >>> optimizer.step()
        >>> (w.detach() < 0).tolist()
        [[True, False], [False, True]]

    Source: Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        check_not_negative("Muon", lr=lr, weight_decay=weight_decay, momentum=momentum)
        check_are_numbers("Muon", eps=eps, ns_steps=ns_steps)
        if not isinstance(ns_coefficients, (tuple, list)) or len(ns_coefficients) != 3:
            raise ValueError(
                f"Muon: ns_coefficients must be three numbers, got {ns_coefficients!r}"
            )
        if not 0 <= ns_steps < _MOST_STEPS:
            raise ValueError(
                f"Muon: ns_steps must be from 0 to {_MOST_STEPS - 1}, got {ns_steps}"
            )
        if adjust_lr_fn not in _ADJUSTMENTS:
            raise ValueError(
                f"Muon: adjust_lr_fn must be one of {_ADJUSTMENTS}, got {adjust_lr_fn!r}"
            )
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, defaults)

    def add_param_group(self, param_group: ParamGroup) -> None:
        """Add a group of parameters, each a matrix.

        Raises:
            ValueError: one is none.
        """
        super().add_param_group(param_group)
        for param in self.param_groups[-1]["params"]:
            if param.ndim != 2:
                place = self._place(param)
                self.param_groups.pop()
                raise ValueError(
                    f"Muon: expected parameters with two axes, got {tuple(param.shape)} as "
                    f"{place}; likely fix: Muon([p for p in model.parameters() if p.ndim == "
                    "2]), and AdamW for the others"
                )

    @no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change the parameters once, by their gradients.

        Args:
            closure: computes the loss and its gradients first.

        Returns:
            What the closure returned.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is not None:
                    self._change(param, param.grad, group)
        return loss

    def states(self, group: ParamGroup) -> tuple[str | None, ...]:
        return ("momentum_buffer",)

    def _change(self, param: Tensor, grad: Tensor, group: ParamGroup) -> None:
        self._check_grad(param, grad._array)
        grad, state = grad.detach(), self.state[param]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = zeros_like(grad)
        mean = state["momentum_buffer"].lerp_(grad, 1 - group["momentum"])
        update = grad.lerp(mean, group["momentum"]) if group["nesterov"] else mean
        turned = _near_orthogonal(
            update, group["ns_coefficients"], group["ns_steps"], group["eps"]
        )
        lr = float(group["lr"])
        param.mul_(1 - lr * group["weight_decay"])
        param.sub_(turned, alpha=lr * _factor(group["adjust_lr_fn"], *param.shape))


def _near_orthogonal(
    x: Tensor, coefficients: Sequence[float], steps: int, eps: float
) -> Tensor:
    """A matrix with x's singular vectors, and values that the iteration brings near to 1:
    each becomes a s + b s^3 + c s^5 in a step.
    """
    a, b, c = coefficients
    tall = x.shape[0] > x.shape[1]
    found = x.t() if tall else x
    found = found / found.norm().clamp(min=eps)
    for _ in range(steps):
        gram = found @ found.t()
        found = addmm(found, addmm(gram, gram, gram, beta=b, alpha=c), found, beta=a)
    return found.t() if tall else found


def _factor(adjustment: str | None, rows: int, columns: int) -> float:
    if adjustment == "match_rms_adamw":
        return 0.2 * math.sqrt(max(rows, columns))
    return math.sqrt(max(1.0, rows / columns))
