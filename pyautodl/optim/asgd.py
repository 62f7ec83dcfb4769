"""ASGD."""

from __future__ import annotations

from typing import Any

from pyautodl.backends import Array
from pyautodl.optim.optimizer import Optimizer, ParamGroup, check_not_negative

__all__ = ["ASGD"]


class ASGD(Optimizer):
    """Gradient descent that also keeps the average of the parameters, in `state[p]["ax"]`.

    Args:
        params: parameters, or dicts of them with options of their own.
        lr: the step size; step t has the size lr / (1 + lambd lr t) ** alpha.
        lambd: see above; each step also takes so much of its size from a parameter.
        alpha: see above.
        t0: from this step on parameters are averaged; before it the average is the last.
        weight_decay: adds so much of the parameter to its gradient.
        foreach: a hint without effect.
        maximize: go uphill.
        differentiable: not supported.
        capturable: a hint without effect.

    Raises:
        ValueError: an option is negative.

    Example:
        >>> import pyautodl as ad
        >>> w = ad.tensor([1.0], requires_grad=True)
        >>> optimizer = ad.optim.ASGD([w], lr=0.1, lambd=0.0, t0=0)
        >>> for _ in range(2):
        ...     optimizer.zero_grad()
        ...     (3 * w).sum().backward()
        ...     optimizer.step()
        >>> w.detach(), optimizer.state[w]["ax"]
        (tensor([0.4000]), tensor([0.4000]))

    Source: Polyak and Juditsky, "Acceleration of stochastic approximation by averaging",
    1992.
    """

    kernel = "asgd_step"
    hyper = ("lr", "lambd", "alpha", "t0", "weight_decay")
    scalars = ("step", "eta", "mu")

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_not_negative("ASGD", lr=lr, weight_decay=weight_decay)
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def states(self, group: ParamGroup) -> tuple[str | None, ...]:
        return "ax", "eta", "mu", "step"

    def new_state(self, name: str, param: Array, group: ParamGroup) -> Array:
        starts = {"eta": float(group["lr"]), "mu": 1.0}
        return self.filled_state(name, param, starts.get(name, 0.0))
