"""Relatives of Adam: Adamax, NAdam and RAdam."""

from __future__ import annotations

from typing import Any

from pyautodl.backends import Array
from pyautodl.optim.optimizer import (
    Optimizer,
    ParamGroup,
    check_betas,
    check_not_negative,
)

__all__ = ["Adamax", "NAdam", "RAdam"]


class Adamax(Optimizer):
    """Adam whose steps are divided by the largest gradient of late.

    Args:
        params: parameters, or dicts of them with options of their own.
        lr: the step size.
        betas: how slowly the running mean of the gradient and the largest one change.
        eps: added to the gradient's size.
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
        >>> optimizer = ad.optim.Adamax([w], lr=0.1)
        >>> (3 * w).sum().backward()
        >>> optimizer.step()
        >>> w.detach()
        tensor([0.9000])

    Source: Kingma and Ba, "Adam: a method for stochastic optimization", 2015.
    """

    kernel = "adamax_step"
    hyper = ("lr", "betas", "eps", "weight_decay")

    def __init__(
        self,
        params: Any,
        lr: Any = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_not_negative("Adamax", lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas("Adamax", betas)
        defaults = {
            "lr": lr,
            "betas": tuple(betas),
            "eps": eps,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def states(self, group: ParamGroup) -> tuple[str | None, ...]:
        return "exp_avg", "exp_inf", "step"


class NAdam(Optimizer):
    """Adam with Nesterov's momentum: a step looks ahead to where the mean will lead.

    Args:
        params: parameters, or dicts of them with options of their own.
        lr: the step size.
        betas: how slowly the running means of the gradient and its square change.
        eps: added to the root of the mean square.
        weight_decay: adds so much of the parameter to its gradient.
        momentum_decay: how fast the momentum grows from half of betas[0] to all of it.
        decoupled_weight_decay: decay as AdamW.
        foreach: a hint without effect.
        maximize: go uphill.
        capturable: a hint without effect.
        differentiable: not supported.

    Raises:
        ValueError: an option is out of range.

    Example:
        >>> import pyautodl as ad
        >>> w = ad.tensor([1.0], requires_grad=True)
        >>> optimizer = ad.optim.NAdam([w], lr=0.1)
        >>> (3 * w).sum().backward()
        >>> optimizer.step()
        >>> w.detach()
        tensor([0.8944])

    Source: Dozat, "Incorporating Nesterov momentum into Adam", 2016.
    """

    kernel = "nadam_step"
    hyper = ("lr", "betas", "eps", "weight_decay", "momentum_decay")
    scalars = ("step", "mu_product")

    def __init__(
        self,
        params: Any,
        lr: Any = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_not_negative("NAdam", lr=lr, eps=eps, weight_decay=weight_decay)
        check_not_negative("NAdam", momentum_decay=momentum_decay)
        check_betas("NAdam", betas)
        defaults = {
            "lr": lr,
            "betas": tuple(betas),
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def states(self, group: ParamGroup) -> tuple[str | None, ...]:
        return "exp_avg", "exp_avg_sq", "mu_product", "step"

    def new_state(self, name: str, param: Array, group: ParamGroup) -> Array:
        return self.filled_state(name, param, 1.0 if name == "mu_product" else 0.0)

    def flags(self, group: ParamGroup, first: bool) -> tuple[int, ...]:
        return int(group["decoupled_weight_decay"]), int(group["maximize"])

    def _numbers(self, group: ParamGroup) -> tuple[list[float], bool]:
        (*numbers, momentum_decay), fixed = super()._numbers(group)
        # the paper's constant: what is left of the distance after 1 / momentum_decay steps
        return [*numbers, 0.96**momentum_decay], fixed


class RAdam(Optimizer):
    """Adam that starts with plain momentum, until the size of steps can be trusted.

    Args:
        params: parameters, or dicts of them with options of their own.
        lr: the step size.
        betas: how slowly the running means of the gradient and its square change.
        eps: added to the root of the mean square.
        weight_decay: adds so much of the parameter to its gradient.
        decoupled_weight_decay: decay as AdamW.
        foreach: a hint without effect.
        maximize: go uphill.
        capturable: a hint without effect.
        differentiable: not supported.

    Raises:
        ValueError: an option is out of range.

    Example:
        >>> import pyautodl as ad
        >>> w = ad.tensor([1.0], requires_grad=True)
        >>> optimizer = ad.optim.RAdam([w], lr=0.1)
        >>> (3 * w).sum().backward()
        >>> optimizer.step()
        >>> w.detach()
        tensor([0.7000])

    Source: Liu et al., "On the variance of the adaptive learning rate and beyond", 2020.
    """

    kernel = "radam_step"
    hyper = ("lr", "betas", "eps", "weight_decay")

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_not_negative("RAdam", lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas("RAdam", betas)
        defaults = {
            "lr": lr,
            "betas": tuple(betas),
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def states(self, group: ParamGroup) -> tuple[str | None, ...]:
        return "exp_avg", "exp_avg_sq", "step"

    def flags(self, group: ParamGroup, first: bool) -> tuple[int, ...]:
        return int(group["decoupled_weight_decay"]), int(group["maximize"])
