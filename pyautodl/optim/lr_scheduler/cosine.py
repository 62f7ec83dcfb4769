"""Along half a cosine, once or again and again."""

from __future__ import annotations

import math

from pyautodl.optim.lr_scheduler.scheduler import LRScheduler, check_steps
from pyautodl.optim.optimizer import Optimizer

__all__ = ["CosineAnnealingLR", "CosineAnnealingWarmRestarts", "cosine"]


def cosine(high: float, low: float, done: float) -> float:
    """From `high` at 0 to `low` at 1 along half a cosine."""
    return low + (high - low) * (1 + math.cos(math.pi * done)) / 2


class CosineAnnealingLR(LRScheduler):
    """The step size along half a cosine from its start to `eta_min`.

    Args:
        optimizer: whose step size to set.
        T_max: how many steps; after them it rises again the same way.
        eta_min: the end.
        last_epoch: the number of the last step done.

    Example:
        >>> import pyautodl as ad
        >>> optimizer = ad.optim.SGD([ad.ones(1, requires_grad=True)], lr=1.0)
        >>> schedule = ad.optim.lr_scheduler.CosineAnnealingLR(optimizer, 3)
        >>> [round(schedule.lr_at(k), 9) for k in range(4)]
        [1.0, 0.75, 0.25, 0.0]

    Source: Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm
    restarts", 2017.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_max: int,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        check_steps("CosineAnnealingLR", T_max=T_max)
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    @property
    def _lowest(self) -> float:  # type: ignore[override]
        return self.eta_min

    def lr_at(self, step: float, group: int = 0) -> float:
        return cosine(self.base_lrs[group], self.eta_min, step / self.T_max)


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half a cosine from the start to `eta_min`, again and again.

    It sets that at each step, whatever was set in between.

    Args:
        optimizer: whose step size to set.
        T_0: steps of the first period.
        T_mult: each period is so many times as long as the one before.
        eta_min: the end of each.
        last_epoch: the number of the last step done.

    Raises:
        ValueError: a period is not a positive whole number.

    Example:
        >>> import pyautodl as ad
        >>> optimizer = ad.optim.SGD([ad.ones(1, requires_grad=True)], lr=1.0)
        >>> make = ad.optim.lr_scheduler.CosineAnnealingWarmRestarts
        >>> schedule = make(optimizer, 2, T_mult=2)
        >>> [round(schedule.lr_at(k), 3) for k in range(7)]
        [1.0, 0.5, 1.0, 0.854, 0.5, 0.146, 1.0]

    Source: Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm
    restarts", 2017.
    """

    _absolute = True

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,
        T_mult: int = 1,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        for name, value in (("T_0", T_0), ("T_mult", T_mult)):
            if value < 1 or not isinstance(value, int):
                raise ValueError(
                    "CosineAnnealingWarmRestarts: expected a positive whole number for "
                    f"{name}, got {value}"
                )
        self.T_0 = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def lr_at(self, step: float, group: int = 0) -> float:
        period: float = self.T_0
        if self.T_mult == 1:
            step %= period
        else:
            while step >= period:
                step -= period
                period *= self.T_mult
        return cosine(self.base_lrs[group], self.eta_min, step / period)
