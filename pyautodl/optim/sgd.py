"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from pyautodl.optim.optimizer import Optimizer, ParamGroup, check_not_negative

__all__ = ["SGD"]


class SGD(Optimizer):
    """Gradient descent, with momentum, dampening, Nesterov's momentum and L2 decay.

    With momentum m: b = m b + (1 - dampening) g (at first b = g), and the step goes
    along b, or along g + m b with `nesterov`.

    Args:
        params: parameters, or dicts of them with options of their own.
        lr: the step size.
        momentum: m above.
        dampening: as above.
        weight_decay: adds so much of the parameter to its gradient.
        nesterov: needs momentum and no dampening.
        maximize: go uphill.
        foreach: a hint without effect.
        differentiable: not supported.
        fused: a hint without effect.

    Raises:
        ValueError: an option is out of range.

    Example:
        >>> import pyautodl as ad
        >>> w = ad.tensor([1.0], requires_grad=True)
        >>> optimizer = ad.optim.SGD([w], lr=0.1)
        >>> (3 * w).sum().backward()
        >>> optimizer.step()
        >>> w.detach()
        tensor([0.7000])

    Source: Sutskever et al., "On the importance of initialization and momentum in deep
    learning", 2013.
    """

    kernel = "sgd_step"
    hyper = ("lr", "momentum", "dampening", "weight_decay")

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_not_negative("SGD", lr=lr, momentum=momentum, weight_decay=weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("SGD: nesterov needs a momentum and zero dampening")
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def states(self, group: ParamGroup) -> tuple[str | None, ...]:
        return ("momentum_buffer" if group["momentum"] != 0 else None,)

    def flags(self, group: ParamGroup, first: bool) -> tuple[int, ...]:
        return int(first), int(group["nesterov"]), int(group["maximize"])
