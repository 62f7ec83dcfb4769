"""Adadelta."""

from __future__ import annotations

from typing import Any

from pyautodl.optim.optimizer import Optimizer, ParamGroup, check_not_negative

__all__ = ["Adadelta"]


class Adadelta(Optimizer):
    """Steps as large as the steps before, in relation to the gradients before.

    Args:
        params: parameters, or dicts of them with options of their own.
        lr: a factor of the steps.
        rho: how slowly the running means of squares change.
        eps: added to both means.
        weight_decay: adds so much of the parameter to its gradient.
        foreach: a hint without effect.
        maximize: go uphill.
        capturable: a hint without effect.
        differentiable: not supported.

    Raises:
        ValueError: an option is out of range.

    Example:
        >>> import pyautodl as ad
        >>> w = ad.tensor([1.0], requires_grad=True)
        >>> optimizer = ad.optim.Adadelta([w], lr=100.0)
        >>> (3 * w).sum().backward()
        >>> optimizer.step()
        >>> w.detach()
        tensor([0.6838])

    Source: Zeiler, "ADADELTA: an adaptive learning rate method", 2012.
    """

    kernel = "adadelta_step"
    hyper = ("lr", "rho", "eps", "weight_decay")

    def __init__(
        self,
        params: Any,
        lr: Any = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_not_negative("Adadelta", lr=lr, eps=eps, weight_decay=weight_decay)
        if not 0 <= rho <= 1:
            raise ValueError(f"Adadelta: rho must be from 0 to 1, got {rho}")
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "capturable": capturable,
            "foreach": foreach,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def states(self, group: ParamGroup) -> tuple[str | None, ...]:
        return "square_avg", "acc_delta", "step"
