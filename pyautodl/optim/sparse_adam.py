"""Adam for tables of which each step uses few rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pyautodl.autograd.grad_mode import enable_grad, no_grad
from pyautodl.functional.creation import zeros_like
from pyautodl.optim.optimizer import (
    Optimizer,
    ParamGroup,
    check_are_numbers,
    check_betas,
)
from pyautodl.tensor import Tensor

__all__ = ["SparseAdam"]


class SparseAdam(Optimizer):
    """Adam that leaves the rows alone, with their means, whose gradient is 0.

    Adam moves a row of an embedding for many steps after it was last used, by its mean; this
    one does not. Gradients here are dense: where all of a row's gradient is 0 the row counts
    as not used. PyTorch takes sparse gradients alone, whose rows are those that were used.

    Args:
        params: parameters, or dicts of them with options of their own.
        lr: the step size, above 0.
        betas: how much the running means of gradient and square keep in a step.
        eps: added to the denominator, above 0.
        maximize: go uphill.

    Raises:
        ValueError: an option is out of range.
        TypeError: an option is no number.

    Example:
        >>> import pyautodl as ad
        >>> table = ad.nn.Embedding.from_pretrained(ad.zeros(3, 1), freeze=False)
        >>> optimizer = ad.optim.SparseAdam(table.parameters(), lr=0.1)
        >>> table(ad.tensor([0, 2])).sum().backward()
        >>> optimizer.step()
        >>> table.weight.detach().flatten()
        tensor([-0.1000,  0.0000, -0.1000])
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ) -> None:
        check_are_numbers("SparseAdam", lr=lr, eps=eps)
        check_betas("SparseAdam", betas)
        for name, value in (("lr", lr), ("eps", eps)):
            if not value > 0:
                raise ValueError(f"SparseAdam: {name} must be above 0, got {value}")
        options = {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize}
        super().__init__(params, options)

    @no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change the rows that have a gradient once.

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
        return "exp_avg", "exp_avg_sq"

    def _loaded(
        self, entries: dict[str, Any], param: Tensor, group: ParamGroup
    ) -> dict[str, Any]:
        loaded = super()._loaded(entries, param, group)
        if "step" in loaded:
            loaded["step"] = int(loaded["step"])
        return loaded

    def _change(self, param: Tensor, grad: Tensor, group: ParamGroup) -> None:
        self._check_grad(param, grad._array)
        state = self.state[param]
        if not state:
            # a number, as PyTorch has it for this optimizer alone
            state["step"] = 0
            state["exp_avg"] = zeros_like(param)
            state["exp_avg_sq"] = zeros_like(param)
        state["step"] += 1
        rows = (grad.detach().reshape(len(grad) if grad.ndim else 1, -1) != 0).any(1)
        used = rows.nonzero().flatten()
        if not used.numel():
            return
        count, (beta1, beta2) = state["step"], group["betas"]
        table = param.detach() if param.ndim else param.detach().reshape(1)
        new = grad.detach().reshape(table.shape)[used]
        new = -new if group["maximize"] else new
        mean = _moved(state["exp_avg"], used, new, 1 - beta1)
        square = _moved(state["exp_avg_sq"], used, new * new, 1 - beta2)
        size = float(group["lr"]) * math.sqrt(1 - beta2**count) / (1 - beta1**count)
        step = mean.div(square.sqrt().add(group["eps"])).mul(size)
        param.copy_(table.index_add(0, used, step, alpha=-1).reshape(param.shape))


def _moved(means: Tensor, rows: Tensor, new: Tensor, weight: float) -> Tensor:
    """The running means of some rows, after new values have come in."""
    table = means if means.ndim else means.reshape(1)
    found = table[rows].lerp_(new, weight)
    table.index_copy_(0, rows, found)
    return found
