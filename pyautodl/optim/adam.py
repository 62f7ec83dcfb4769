"""Adam and AdamW."""

from __future__ import annotations

from typing import Any

from pyautodl.optim.optimizer import (
    Optimizer,
    ParamGroup,
    check_betas,
    check_not_negative,
)

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer):
    """Steps sized for each element by running means of the gradient and its square.

    `weight_decay` is L2 regularisation, added to the gradient; AdamW decays the
    parameters themselves.

    Args:
        params: parameters, or dicts of them with options of their own.
        lr: the step size.
        betas: how slowly the two running means change.
        eps: added to the root of the mean square.
        weight_decay: adds so much of the parameter to its gradient.
        amsgrad: divide by the largest mean square so far.
        foreach: a hint without effect.
        maximize: go uphill.
        capturable: a hint without effect.
        differentiable: not supported.
        fused: a hint without effect.
        decoupled_weight_decay: decay as AdamW.

    Raises:
        ValueError: an option is out of range.

    Example:
        >>> import pyautodl as ad
        >>> w = ad.tensor([1.0], requires_grad=True)
        >>> optimizer = ad.optim.Adam([w], lr=0.1)
        >>> (3 * w).sum().backward()
        >>> optimizer.step()
        >>> w.detach()
        tensor([0.9000])

    Source: Kingma and Ba, "Adam: a method for stochastic optimization", 2015; Reddi et
    al., "On the convergence of Adam and beyond", 2018.
    """

    kernel = "adam_step"
    hyper = ("lr", "betas", "eps", "weight_decay")

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        name = type(self).__name__
        check_not_negative(name, lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas(name, betas)
        defaults = {
            "lr": lr,
            "betas": tuple(betas),
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def states(self, group: ParamGroup) -> tuple[str | None, ...]:
        largest = "max_exp_avg_sq" if group["amsgrad"] else None
        return "exp_avg", "exp_avg_sq", largest, "step"

    def flags(self, group: ParamGroup, first: bool) -> tuple[int, ...]:
        decoupled = group.get("decoupled_weight_decay", False)
        return int(group["amsgrad"]), int(decoupled), int(group["maximize"])


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameters apart from the gradient.

    Args:
        params: parameters, or dicts of them with options of their own.
        lr: the step size.
        betas: how slowly the running means of g and g squared change.
        eps: added to the root of the mean square.
        weight_decay: each step multiplies the parameters by 1 - lr * weight_decay.
        amsgrad: divide by the largest mean square so far.
        maximize: go uphill.
        foreach: a hint without effect.
        capturable: a hint without effect.
        differentiable: not supported.
        fused: a hint without effect.

    Raises:
        ValueError: an option is out of range.

    Example:
        >>> import pyautodl as ad
        >>> w = ad.tensor([1.0], requires_grad=True)
        >>> optimizer = ad.optim.AdamW([w], lr=0.1, weight_decay=0.1)
        >>> (3 * w).sum().backward()
        >>> optimizer.step()
        >>> w.detach()
        tensor([0.8900])

    Source: Loshchilov and Hutter, "Decoupled weight decay regularization", 2019.
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )
