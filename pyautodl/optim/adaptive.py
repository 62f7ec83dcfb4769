"""RMSprop and Adagrad."""

from __future__ import annotations

from typing import Any

from pyautodl.backends import Array
from pyautodl.optim.optimizer import Optimizer, ParamGroup, check_not_negative

__all__ = ["Adagrad", "RMSprop"]


class RMSprop(Optimizer):
    """Steps divided by the root of a running mean of squared gradients.

    Args:
        params: parameters, or dicts of them with options of their own.
        lr: the step size.
        alpha: how slowly the running mean changes.
        eps: added to the root.
        weight_decay: adds so much of the parameter to its gradient.
        momentum: of the steps.
        centered: subtract the squared running mean of the gradient.
        capturable: a hint without effect.
        foreach: a hint without effect.
        maximize: go uphill.
        differentiable: not supported.

    Raises:
        ValueError: an option is negative.

    Example:
        >>> import pyautodl as ad
        >>> w = ad.tensor([1.0], requires_grad=True)
        >>> optimizer = ad.optim.RMSprop([w], lr=0.1, alpha=0.75)
        >>> (3 * w).sum().backward()
        >>> optimizer.step()
        >>> w.detach()
        tensor([0.8000])

    Source: Hinton, "Neural networks for machine learning", lecture 6e, 2012; Graves,
    "Generating sequences with recurrent neural networks", 2013 (centered).
    """

    kernel = "rmsprop_step"
    hyper = ("lr", "alpha", "eps", "weight_decay", "momentum")

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_not_negative("RMSprop", lr=lr, alpha=alpha, eps=eps)
        check_not_negative("RMSprop", weight_decay=weight_decay, momentum=momentum)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def states(self, group: ParamGroup) -> tuple[str | None, ...]:
        mean = "grad_avg" if group["centered"] else None
        buffer = "momentum_buffer" if group["momentum"] != 0 else None
        return "square_avg", mean, buffer, "step"

    def flags(self, group: ParamGroup, first: bool) -> tuple[int, ...]:
        return int(group["centered"]), int(group["maximize"])


class Adagrad(Optimizer):
    """Steps divided by the root of the sum of all squared gradients so far.

    Args:
        params: parameters, or dicts of them with options of their own.
        lr: the step size.
        lr_decay: step t has the size lr / (1 + (t - 1) lr_decay).
        weight_decay: adds so much of the parameter to its gradient.
        initial_accumulator_value: what the sum starts with.
        eps: added to the root.
        foreach: a hint without effect.
        maximize: go uphill.
        differentiable: not supported.
        fused: a hint without effect.

    Raises:
        ValueError: an option is negative.

    Example:
        >>> import pyautodl as ad
        >>> w = ad.tensor([1.0], requires_grad=True)
        >>> optimizer = ad.optim.Adagrad([w], lr=0.1)
        >>> (3 * w).sum().backward()
        >>> optimizer.step()
        >>> w.detach()
        tensor([0.9000])

    Source: Duchi et al., "Adaptive subgradient methods for online learning", 2011.
    """

    kernel = "adagrad_step"
    hyper = ("lr", "lr_decay", "weight_decay", "eps")

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_not_negative(
            "Adagrad", lr=lr, lr_decay=lr_decay, weight_decay=weight_decay, eps=eps
        )
        check_not_negative(
            "Adagrad", initial_accumulator_value=initial_accumulator_value
        )
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def states(self, group: ParamGroup) -> tuple[str | None, ...]:
        return "sum", "step"

    def new_state(self, name: str, param: Array, group: ParamGroup) -> Array:
        start = group["initial_accumulator_value"] if name == "sum" else 0
        return self.filled_state(name, param, float(start))
