"""Factors that depend on the step: by a function, in steps, towards an end."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from pyautodl.optim.lr_scheduler.scheduler import (
    LRScheduler,
    check_steps,
    refuse_group,
)
from pyautodl.optim.optimizer import Optimizer

__all__ = [
    "ConstantLR",
    "ExponentialLR",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "PolynomialLR",
    "StepLR",
]


class LambdaLR(LRScheduler):
    """The initial step size times a function of the step.

    It sets that at each step, whatever was set in between.

    Args:
        optimizer: whose step size to set.
        lr_lambda: a function of the step, or one for each group.
        last_epoch: the number of the last step done.

    Example:
        >>> import pyautodl as ad
        >>> optimizer = ad.optim.SGD([ad.ones(1, requires_grad=True)], lr=1.0)
        >>> schedule = ad.optim.lr_scheduler.LambdaLR(optimizer, lambda k: 1 / (1 + k))
        >>> [schedule.lr_at(k) for k in range(3)]
        [1.0, 0.5, 0.3333333333333333]
    """

    _absolute = True

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        groups = len(optimizer.param_groups)
        given = [lr_lambda] * groups if callable(lr_lambda) else list(lr_lambda)
        if len(given) != groups:
            raise ValueError(
                f"{type(self).__name__}: expected {groups} functions, got {len(given)}"
            )
        self.lr_lambdas = given
        super().__init__(optimizer, last_epoch)

    def lr_at(self, step: float, group: int = 0) -> float:
        return self.base_lrs[group] * self.lr_lambdas[group](int(step))

    def _rebase(self, number: int, base: float) -> None:
        if number >= len(self.lr_lambdas):
            refuse_group(self, number)
        super()._rebase(number, base)


class MultiplicativeLR(LambdaLR):
    """The step size of the step before times a function of the step.

    Args:
        optimizer: whose step size to set.
        lr_lambda: a function of the step, from 1 on, or one for each group.
        last_epoch: the number of the last step done.

    Example:
        >>> import pyautodl as ad
        >>> optimizer = ad.optim.SGD([ad.ones(1, requires_grad=True)], lr=1.0)
        >>> make = ad.optim.lr_scheduler.MultiplicativeLR
        >>> schedule = make(optimizer, lambda k: 0.5 if k < 3 else 1.0)
        >>> [schedule.lr_at(k) for k in range(5)]
        [1.0, 0.5, 0.25, 0.25, 0.25]
    """

    _absolute = False

    def lr_at(self, step: float, group: int = 0) -> float:
        factors = (self.lr_lambdas[group](k) for k in range(1, int(step) + 1))
        return self.base_lrs[group] * math.prod(factors)


class StepLR(LRScheduler):
    """The step size times `gamma` after each `step_size` steps.

    Args:
        optimizer: whose step size to set.
        step_size: how many steps with one step size.
        gamma: the factor.
        last_epoch: the number of the last step done.

    Example:
        >>> import pyautodl as ad
        >>> optimizer = ad.optim.SGD([ad.ones(1, requires_grad=True)], lr=1.0)
        >>> schedule = ad.optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.5)
        >>> [schedule.lr_at(k) for k in range(5)]
        [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        step_size: int,
        gamma: float = 0.1,
        last_epoch: int = -1,
    ) -> None:
        check_steps("StepLR", step_size=step_size)
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def lr_at(self, step: float, group: int = 0) -> float:
        return self.base_lrs[group] * float(self.gamma ** (step // self.step_size))


class MultiStepLR(LRScheduler):
    """The step size times `gamma` at each of the milestones.

    Args:
        optimizer: whose step size to set.
        milestones: numbers of steps; one that is given twice counts twice.
        gamma: the factor.
        last_epoch: the number of the last step done.

    Example:
        >>> import pyautodl as ad
        >>> optimizer = ad.optim.SGD([ad.ones(1, requires_grad=True)], lr=1.0)
        >>> schedule = ad.optim.lr_scheduler.MultiStepLR(optimizer, [1, 3], gamma=0.5)
        >>> [schedule.lr_at(k) for k in range(4)]
        [1.0, 0.5, 0.5, 0.25]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Iterable[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ) -> None:
        self.milestones = Counter(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def lr_at(self, step: float, group: int = 0) -> float:
        # a file gives a plain dict for the Counter
        passed = sum(n for place, n in self.milestones.items() if place <= step)
        return self.base_lrs[group] * self.gamma**passed


class ConstantLR(LRScheduler):
    """The step size times `factor` for the first `total_iters` steps.

    Args:
        optimizer: whose step size to set.
        factor: from 0 to 1.
        total_iters: how many steps with it.
        last_epoch: the number of the last step done.

    Example:
        >>> import pyautodl as ad
        >>> optimizer = ad.optim.SGD([ad.ones(1, requires_grad=True)], lr=1.0)
        >>> schedule = ad.optim.lr_scheduler.ConstantLR(optimizer, 0.5, total_iters=2)
        >>> [schedule.lr_at(k) for k in range(3)]
        [0.5, 0.5, 1.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        factor: float = 1.0 / 3,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0 <= factor <= 1:
            raise ValueError(f"ConstantLR: factor must be from 0 to 1, got {factor}")
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def lr_at(self, step: float, group: int = 0) -> float:
        base = self.base_lrs[group]
        return base * self.factor if step < self.total_iters else base


class LinearLR(LRScheduler):
    """The step size times a factor that changes linearly over `total_iters` steps.

    Args:
        optimizer: whose step size to set.
        start_factor: at the start, above 0 and up to 1.
        end_factor: at the end, from 0 to 1.
        total_iters: how many steps lead from one to the other.
        last_epoch: the number of the last step done.

    Example:
        >>> import pyautodl as ad
        >>> optimizer = ad.optim.SGD([ad.ones(1, requires_grad=True)], lr=1.0)
        >>> schedule = ad.optim.lr_scheduler.LinearLR(optimizer, 0.5, total_iters=2)
        >>> [schedule.lr_at(k) for k in range(4)]
        [0.5, 0.75, 1.0, 1.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0 < start_factor <= 1:
            raise ValueError(
                "LinearLR: start_factor must be above 0 and up to 1, got "
                f"{start_factor}"
            )
        if not 0 <= end_factor <= 1:
            raise ValueError(
                f"LinearLR: end_factor must be from 0 to 1, got {end_factor}"
            )
        check_steps("LinearLR", total_iters=total_iters)
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def lr_at(self, step: float, group: int = 0) -> float:
        done = min(step, self.total_iters) / self.total_iters
        factor = self.start_factor + (self.end_factor - self.start_factor) * done
        return self.base_lrs[group] * factor


class ExponentialLR(LRScheduler):
    """The step size times `gamma` after each step.

    Args:
        optimizer: whose step size to set.
        gamma: the factor.
        last_epoch: the number of the last step done.

    Example:
        >>> import pyautodl as ad
        >>> optimizer = ad.optim.SGD([ad.ones(1, requires_grad=True)], lr=1.0)
        >>> schedule = ad.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        >>> [schedule.lr_at(k) for k in range(3)]
        [1.0, 0.5, 0.25]
    """

    def __init__(
        self, optimizer: Optimizer, gamma: float, last_epoch: int = -1
    ) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def lr_at(self, step: float, group: int = 0) -> float:
        return self.base_lrs[group] * float(self.gamma**step)


class PolynomialLR(LRScheduler):
    """The step size times (1 - step / total_iters) ** power, 0 from total_iters on.

    Args:
        optimizer: whose step size to set.
        total_iters: how many steps.
        power: the exponent.
        last_epoch: the number of the last step done.

    Example:
        >>> import pyautodl as ad
        >>> optimizer = ad.optim.SGD([ad.ones(1, requires_grad=True)], lr=1.0)
        >>> schedule = ad.optim.lr_scheduler.PolynomialLR(optimizer, 4)
        >>> [schedule.lr_at(k) for k in range(6)]
        [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        total_iters: int = 5,
        power: float = 1.0,
        last_epoch: int = -1,
    ) -> None:
        check_steps("PolynomialLR", total_iters=total_iters)
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def lr_at(self, step: float, group: int = 0) -> float:
        left = 1 - min(step, self.total_iters) / self.total_iters
        return self.base_lrs[group] * float(left**self.power)
