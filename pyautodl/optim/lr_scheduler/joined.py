"""Several schedules: one after the other, or at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from pyautodl.optim.lr_scheduler.plateau import ReduceLROnPlateau
from pyautodl.optim.lr_scheduler.scheduler import LRScheduler
from pyautodl.optim.optimizer import Optimizer

__all__ = ["ChainedScheduler", "SequentialLR"]


class _Several(LRScheduler):
    """A schedule made of others."""

    _alone = True
    _schedulers: list[LRScheduler]

    def _rebase(self, number: int, base: float) -> None:
        super()._rebase(number, base)
        for each in self._schedulers:
            each._rebase(number, base)


class SequentialLR(_Several):
    """One schedule after the other, each beginning at its own step 0.

    What is set by hand in between is kept or lost as by the schedule of that step, and lost
    where the next one begins.

    Args:
        optimizer: whose step size to set.
        schedulers: schedules of this optimizer.
        milestones: the step at which each but the first begins.
        last_epoch: the number of the last step done.

    Raises:
        ValueError: there are not one fewer milestones than schedules.

    Example:
        >>> import pyautodl as ad
        >>> optimizer = ad.optim.SGD([ad.ones(1, requires_grad=True)], lr=1.0)
        >>> make = ad.optim.lr_scheduler
        >>> first = make.ConstantLR(optimizer, 0.5, total_iters=9)
        >>> then = make.ExponentialLR(optimizer, 0.5)
        >>> schedule = make.SequentialLR(optimizer, [first, then], milestones=[2])
        >>> [schedule.lr_at(k) for k in range(5)]
        [0.5, 0.5, 1.0, 0.5, 0.25]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: list[LRScheduler],
        milestones: list[int],
        last_epoch: int = -1,
    ) -> None:
        _check_schedulers("SequentialLR", optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"SequentialLR: expected {len(schedulers) - 1} milestones for "
                f"{len(schedulers)} schedules, got {len(milestones)}"
            )
        self._schedulers = list(schedulers)
        self._milestones = list(milestones)
        super().__init__(optimizer, last_epoch)

    def _at(self, step: float) -> tuple[LRScheduler, float]:
        """The schedule at a step, and how many steps it has done by then."""
        number = bisect_right(self._milestones, step)
        return self._schedulers[number], step - (
            self._milestones[number - 1] if number else 0
        )

    def lr_at(self, step: float, group: int = 0) -> float:
        schedule, done = self._at(step)
        return schedule.lr_at(done, group)

    def _absolute_at(self, step: float) -> bool:
        schedule, done = self._at(step)
        return done == 0 or schedule._absolute_at(done)

    def _lowest_at(self, step: float) -> float:
        schedule, done = self._at(step)
        return schedule._lowest_at(done)

    def _move_others(self, step: float) -> None:
        schedule, done = self._at(step)
        schedule._move_others(done)


class ChainedScheduler(_Several):
    """Several schedules at the same time: their factors multiply.

    Args:
        schedulers: schedules of one optimizer.
        optimizer: that optimizer; default: the first schedule's.

    Example:
        >>> import pyautodl as ad
        >>> optimizer = ad.optim.SGD([ad.ones(1, requires_grad=True)], lr=1.0)
        >>> make = ad.optim.lr_scheduler
        >>> one = make.ConstantLR(optimizer, 0.5, total_iters=1)
        >>> other = make.ExponentialLR(optimizer, 0.5)
        >>> schedule = make.ChainedScheduler([one, other])
        >>> [schedule.lr_at(k) for k in range(3)]
        [0.5, 0.5, 0.25]
    """

    def __init__(
        self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None
    ) -> None:
        if not schedulers:
            raise ValueError("ChainedScheduler: expected at least one schedule")
        chosen = optimizer or schedulers[0].optimizer
        _check_schedulers("ChainedScheduler", chosen, schedulers)
        self._schedulers = list(schedulers)
        super().__init__(chosen)

    def lr_at(self, step: float, group: int = 0) -> float:
        lr = base = self.base_lrs[group]
        for each in self._schedulers:
            lr *= each.lr_at(step, group) / base if base else 1.0
        return lr

    def _move_others(self, step: float) -> None:
        for each in self._schedulers:
            each._move_others(step)


def _check_schedulers(
    name: str, optimizer: Optimizer, schedulers: Sequence[LRScheduler]
) -> None:
    if not schedulers:
        raise ValueError(f"{name}: expected at least one schedule")
    for i, each in enumerate(schedulers):
        if each.optimizer is not optimizer:
            raise ValueError(f"{name}: schedule {i} belongs to another optimizer")
        if isinstance(each, ReduceLROnPlateau):
            raise ValueError(f"{name}: ReduceLROnPlateau depends on more than the step")
