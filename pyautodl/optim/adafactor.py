"""Adafactor, which keeps of a matrix of mean squares one row and one column."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyautodl.autograd.grad_mode import enable_grad, no_grad
from pyautodl.backends import Array
from pyautodl.functional.limits import finfo
from pyautodl.optim.optimizer import (
    Optimizer,
    ParamGroup,
    check_are_numbers,
    check_not_negative,
)
from pyautodl.tensor import Tensor

__all__ = ["Adafactor"]


class Adafactor(Optimizer):
    """Steps relative to the parameter's size, divided by the root of the mean square.

    Of a gradient with several axes only means over the last and over the last but one are
    kept: memory as of SGD without momentum.

    Args:
        params: parameters, or dicts of them with options of their own.
        lr: the largest step, as a part of the parameter's root mean square.
        beta2_decay: not above 0; in step t the new square has the weight t^beta2_decay.
        eps: the root of the least mean square, by default that of the element type; and the
            least size that a parameter is taken for.
        d: steps whose root mean square is above it are shortened to it.
        weight_decay: decoupled: the parameter shrinks by lr times it.
        foreach: a hint without effect.
        maximize: go uphill.

    Raises:
        ValueError: an option is out of range.
        TypeError: an option is no number.

    Example:
        >>> import pyautodl as ad
        >>> w = ad.tensor([1.0], requires_grad=True)
        >>> optimizer = ad.optim.Adafactor([w], lr=0.1)
        >>> (3 * w).sum().backward()
        >>> optimizer.step()
        >>> w.detach()
        tensor([0.9000])

    Source: Shazeer and Stern, "Adafactor: adaptive learning rates with sublinear memory
    cost", 2018.
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        check_not_negative("Adafactor", lr=lr, weight_decay=weight_decay)
        if not isinstance(eps, (tuple, list)) or len(eps) != 2:
            raise ValueError(f"Adafactor: eps must be two numbers, got {eps!r}")
        first = 0.0 if eps[0] is None else eps[0]
        check_not_negative("Adafactor", **{"eps[0]": first, "eps[1]": eps[1]})
        check_are_numbers("Adafactor", beta2_decay=beta2_decay, d=d)
        if not beta2_decay <= 0:
            raise ValueError(
                f"Adafactor: beta2_decay must not be above 0, got {beta2_decay}"
            )
        if not d >= 1:
            raise ValueError(f"Adafactor: d must be at least 1, got {d}")
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": tuple(eps),
            "d": d,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

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
        return "row_var", "col_var", "variance", "step"

    def state_shape(self, name: str, param: Array) -> tuple[int, ...]:
        if name == "row_var":
            return *param.shape[:-1], 1
        if name == "col_var":
            return *param.shape[:-2], 1, param.shape[-1]
        return super().state_shape(name, param)

    def _change(self, param: Tensor, grad: Tensor, group: ParamGroup) -> None:
        self._check_grad(param, grad._array)
        kept = ["row_var", "col_var"] if grad.ndim > 1 else ["variance"]
        self._complete(param, group, [*kept, "step"])
        state = self.state[param]
        grad = -grad if group["maximize"] else grad.detach()
        state["step"].add_(1)
        count, lr = state["step"].item(), float(group["lr"])
        least, smallest = group["eps"]
        least = finfo(param.dtype).eps if least is None else least
        size = max(smallest, _root_mean_square(param))
        if group["weight_decay"]:
            param.mul_(1 - lr * group["weight_decay"])
        square = _mean_square(state, grad, count ** group["beta2_decay"], least)
        update = square.clamp(min=least * least).rsqrt_().mul_(grad)
        excess = max(1.0, _root_mean_square(update) / group["d"])
        param.sub_(update, alpha=min(lr, count**-0.5) * size / excess)


def _mean_square(
    state: dict[str, Any], grad: Tensor, weight: float, least: float
) -> Tensor:
    """The running mean of the gradient's square, after the new one has come in."""
    square = grad * grad
    if grad.ndim < 2:
        found: Tensor = state["variance"].lerp_(square, weight)
        return found
    row, column = state["row_var"], state["col_var"]
    row.lerp_(square.mean(-1, keepdim=True), weight)
    column.lerp_(square.mean(-2, keepdim=True), weight)
    return (row @ column) / row.mean(-2, keepdim=True).clamp(min=least)


def _root_mean_square(x: Tensor) -> float:
    return float(x.norm().item() / max(x.numel(), 1) ** 0.5)
