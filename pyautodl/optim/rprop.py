"""Rprop."""

from __future__ import annotations

from typing import Any

from pyautodl.backends import Array
from pyautodl.optim.optimizer import Optimizer, ParamGroup, check_not_negative

__all__ = ["Rprop"]


class Rprop(Optimizer):
    """Steps by the gradient's sign alone, of a size of its own for each element.

    For gradients of all the data: those of batches change their signs by chance.

    Args:
        params: parameters, or dicts of them with options of their own.
        lr: the size of the first steps.
        etas: the factors of a size when the gradient's sign changes and when it stays.
        step_sizes: the least and the largest size.
        capturable: a hint without effect.
        foreach: a hint without effect.
        maximize: go uphill.
        differentiable: not supported.

    Raises:
        ValueError: an option is out of range.

    Example:
        >>> import pyautodl as ad
        >>> w = ad.tensor([1.0], requires_grad=True)
        >>> optimizer = ad.optim.Rprop([w], lr=0.1)
        >>> (3 * w).sum().backward()
        >>> optimizer.step()
        >>> w.detach()
        tensor([0.9000])

    Source: Riedmiller and Braun, "A direct adaptive method for faster backpropagation
    learning: the RPROP algorithm", 1993.
    """

    kernel = "rprop_step"
    hyper = ("etas", "step_sizes")

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_not_negative("Rprop", lr=lr)
        if len(etas) != 2 or not 0 < etas[0] < 1 < etas[1]:
            raise ValueError(
                f"Rprop: etas must be a number in (0, 1) and one above 1, got {etas!r}"
            )
        if len(step_sizes) != 2 or not step_sizes[0] <= step_sizes[1]:
            raise ValueError(
                "Rprop: step_sizes must be the least and the largest size, got "
                f"{step_sizes!r}"
            )
        defaults = {
            "lr": lr,
            "etas": tuple(etas),
            "step_sizes": tuple(step_sizes),
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def states(self, group: ParamGroup) -> tuple[str | None, ...]:
        return "prev", "step_size", "step"

    def new_state(self, name: str, param: Array, group: ParamGroup) -> Array:
        start = float(group["lr"]) if name == "step_size" else 0.0
        return self.filled_state(name, param, start)
