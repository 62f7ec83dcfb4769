"""Schedules of the step size.

A schedule is a pure function `lr_at(step)` of the number of steps done. What it sets
does not depend on how it came there, so a run that is resumed at step k goes on as one
that was never interrupted. The step size of step 0 is the optimizer's own, unless the
schedule says otherwise (LinearLR, ConstantLR, OneCycleLR).

Several schedules of one optimizer, stepped one after the other, multiply.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pyautodl.optim.optimizer import Optimizer

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]


class LRScheduler:
    """The base of schedules; a subclass says `lr_at`.

    Args:
        optimizer: whose step size to set.
        last_epoch: the number of the last step done, -1 at the start; to go on from
            another number the groups need `initial_lr`.
    """

    # whether it sets the step size from the start, whatever other schedules did
    _alone = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(
                f"{type(self).__name__}: expected an Optimizer, got "
                f"{type(optimizer).__name__}"
            )
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", float(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"{type(self).__name__}: group {i} has no initial_lr, which is "
                    "needed to go on from a step"
                )
        self.optimizer = optimizer
        self.base_lrs = [float(group["initial_lr"]) for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._step_count = 0
        self._last_lr: list[float] = []
        self._start()

    def _start(self) -> None:
        beside_another = self.last_epoch == -1 and not self._alone
        self._step_count += 1
        self.last_epoch += 1
        lrs = self.get_lr()
        if beside_another:
            groups = self.optimizer.param_groups
            lrs = [
                lr if group["lr"] == base else float(group["lr"]) * lr / (base or 1.0)
                for lr, base, group in zip(lrs, self.base_lrs, groups)
            ]
        self._set(lrs)

    def lr_at(self, step: float, group: int = 0) -> float:
        """Return the step size after so many steps, whatever was done before.

        Args:
            step: how many steps are done.
            group: the number of the parameter group.
        """
        raise NotImplementedError

    def step(self, epoch: float | None = None) -> None:
        """Go on by one step, or to a given one."""
        self._step_count += 1
        before = self.last_epoch
        self.last_epoch = before + 1 if epoch is None else epoch  # type: ignore[assignment]
        lrs = []
        for i, group in enumerate(self.optimizer.param_groups):
            lr, current = self.lr_at(self.last_epoch, i), float(group["lr"])
            old = self.lr_at(before, i) if epoch is None else current
            if current != old and old != 0:
                # set by somebody else: another schedule, to be multiplied with
                lr = current * lr / old
            lrs.append(lr)
        self._set(lrs)

    def _set(self, lrs: list[float]) -> None:
        for group, lr in zip(self.optimizer.param_groups, lrs):
            group["lr"] = lr
        self._last_lr = lrs

    def get_last_lr(self) -> list[float]:
        """Return the step sizes that were last set, one for each group."""
        return self._last_lr

    def get_lr(self) -> list[float]:
        """Return the step sizes of the current step, one for each group."""
        return [self.lr_at(self.last_epoch, i) for i in range(len(self.base_lrs))]

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed schedule needs."""
        return {
            key: value
            for key, value in self.__dict__.items()
            if key not in ("optimizer", "lr_lambdas", "_schedulers")
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from where `state_dict` was taken; sets the step size too."""
        self.__dict__.update(state_dict)
        self._set(list(self._last_lr))


class LambdaLR(LRScheduler):
    """The initial step size times a function of the step.

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

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        groups = len(optimizer.param_groups)
        given = [lr_lambda] * groups if callable(lr_lambda) else list(lr_lambda)
        if len(given) != groups:
            raise ValueError(f"LambdaLR: expected {groups} functions, got {len(given)}")
        self.lr_lambdas = given
        super().__init__(optimizer, last_epoch)

    def lr_at(self, step: float, group: int = 0) -> float:
        return self.base_lrs[group] * self.lr_lambdas[group](int(step))


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
        passed = bisect_right(sorted(self.milestones.elements()), step)
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
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def lr_at(self, step: float, group: int = 0) -> float:
        left = 1 - min(step, self.total_iters) / self.total_iters
        return self.base_lrs[group] * float(left**self.power)


def _cosine(high: float, low: float, done: float) -> float:
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
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def lr_at(self, step: float, group: int = 0) -> float:
        return _cosine(self.base_lrs[group], self.eta_min, step / self.T_max)


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half a cosine from the start to `eta_min`, again and again.

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
        return _cosine(self.base_lrs[group], self.eta_min, step / period)


class OneCycleLR(LRScheduler):
    """Up to `max_lr` and down again to almost nothing, momentum the other way round.

    Args:
        optimizer: whose step size and momentum to set.
        max_lr: the peak, one number or one for each group.
        total_steps: how many steps there are; or `epochs` times `steps_per_epoch`.
        epochs: see total_steps.
        steps_per_epoch: see total_steps.
        pct_start: the part of the steps that leads up.
        anneal_strategy: 'cos' or 'linear'.
        cycle_momentum: set momentum (or the first beta) too.
        base_momentum: at the peak.
        max_momentum: at the start and the end.
        div_factor: the start is max_lr / div_factor.
        final_div_factor: the end is the start / final_div_factor.
        three_phase: come down to the start as fast as up, then go on to the end.
        last_epoch: the number of the last step done.

    Raises:
        ValueError: an option is out of range, or more than total_steps are made.

    Example:
        >>> import pyautodl as ad
        >>> w = ad.ones(1, requires_grad=True)
        >>> optimizer = ad.optim.SGD([w], lr=0.1, momentum=0.9)
        >>> schedule = ad.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=10)
        >>> [round(schedule.lr_at(k), 4) for k in (0, 2, 9)]
        [0.04, 1.0, 0.0]

    Source: Smith and Topin, "Super-convergence: very fast training of neural networks
    using large learning rates", 2019.
    """

    _alone = True

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        if total_steps is None and epochs is not None and steps_per_epoch is not None:
            total_steps = epochs * steps_per_epoch
        if total_steps is None or total_steps <= 0:
            raise ValueError(
                "OneCycleLR: expected a positive total_steps, or epochs and "
                f"steps_per_epoch, got {total_steps}"
            )
        if not 0 <= pct_start <= 1:
            raise ValueError(
                f"OneCycleLR: pct_start must be from 0 to 1, got {pct_start}"
            )
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                "OneCycleLR: anneal_strategy must be 'cos' or 'linear', got "
                f"{anneal_strategy!r}"
            )
        self.total_steps = total_steps
        self.anneal_strategy = anneal_strategy
        self.cycle_momentum = cycle_momentum
        groups = len(optimizer.param_groups)
        peaks = _for_each_group(groups, "max_lr", max_lr)
        starts = [peak / div_factor for peak in peaks]
        ends = [start / final_div_factor for start in starts]
        low = _for_each_group(groups, "base_momentum", base_momentum)
        high = _for_each_group(groups, "max_momentum", max_momentum)
        # the last step of each phase, and what is reached there
        first = float(pct_start * total_steps) - 1
        self.ends = [first, float(total_steps - 1)]
        self.lrs = [starts, peaks, ends]
        self.momenta = [high, low, high]
        if three_phase:
            self.ends.insert(1, float(2 * pct_start * total_steps) - 2)
            self.lrs.insert(2, starts)
            self.momenta.append(high)
        if last_epoch == -1:
            for group, start in zip(optimizer.param_groups, starts):
                group["initial_lr"] = start
        self._check_momentum(optimizer)
        super().__init__(optimizer, last_epoch)

    def _check_momentum(self, optimizer: Optimizer) -> None:
        if not self.cycle_momentum:
            return
        if not ({"momentum", "betas"} & optimizer.defaults.keys()):
            raise ValueError(
                "OneCycleLR: the optimizer has no momentum; pass cycle_momentum=False"
            )

    def _between(self, values: list[list[float]], step: float, group: int) -> float:
        step = min(step, self.ends[-1])
        start = 0.0
        for i, end in enumerate(self.ends):
            if step <= end or i == len(self.ends) - 1:
                break
            start = end
        done = (step - start) / (end - start) if end != start else 1.0
        a, b = values[i][group], values[i + 1][group]
        return (
            _cosine(a, b, done) if self.anneal_strategy == "cos" else a + (b - a) * done
        )

    def lr_at(self, step: float, group: int = 0) -> float:
        if step > self.total_steps:
            raise ValueError(
                f"OneCycleLR: stepped {step} times, past its end after total_steps="
                f"{self.total_steps} steps; likely fix: a larger total_steps"
            )
        return self._between(self.lrs, step, group)

    def momentum_at(self, step: float, group: int = 0) -> float:
        """Return the momentum after so many steps."""
        return self._between(self.momenta, step, group)

    def _set(self, lrs: list[float]) -> None:
        super()._set(lrs)
        if not self.cycle_momentum:
            return
        for i, group in enumerate(self.optimizer.param_groups):
            momentum = self.momentum_at(self.last_epoch, i)
            if "betas" in group:
                group["betas"] = (momentum, *group["betas"][1:])
            else:
                group["momentum"] = momentum


def _for_each_group(groups: int, name: str, value: Any) -> list[float]:
    values = list(value) if isinstance(value, (list, tuple)) else [value] * groups
    if len(values) != groups:
        raise ValueError(f"expected {groups} values for {name}, got {len(values)}")
    return [float(each) for each in values]


class SequentialLR(LRScheduler):
    """One schedule after the other, each beginning at its own step 0.

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

    _alone = True

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

    def lr_at(self, step: float, group: int = 0) -> float:
        number = bisect_right(self._milestones, step)
        start = self._milestones[number - 1] if number else 0
        return self._schedulers[number].lr_at(step - start, group)


class ChainedScheduler(LRScheduler):
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

    _alone = True

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


class ReduceLROnPlateau(LRScheduler):
    """The step size times `factor` when a metric has stopped improving.

    Args:
        optimizer: whose step size to set.
        mode: 'min' if less is better, 'max' if more is.
        factor: below 1.
        patience: how many steps without improvement are let pass.
        threshold: what counts as an improvement.
        threshold_mode: 'rel' (a part of the best) or 'abs'.
        cooldown: steps after a reduction in which none are counted.
        min_lr: not below this, one number or one for each group.
        eps: smaller changes are not made.

    Raises:
        ValueError: factor is not below 1, or a mode is unknown.

    Example:
        >>> import pyautodl as ad
        >>> optimizer = ad.optim.SGD([ad.ones(1, requires_grad=True)], lr=1.0)
        >>> make = ad.optim.lr_scheduler.ReduceLROnPlateau
        >>> schedule = make(optimizer, factor=0.5, patience=1)
        >>> for loss in (3.0, 2.0, 2.0, 2.0, 2.0):
        ...     schedule.step(loss)
        >>> schedule.get_last_lr()
        [0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0,
        eps: float = 1e-8,
    ) -> None:
        if factor >= 1:
            raise ValueError(f"ReduceLROnPlateau: factor must be below 1, got {factor}")
        if mode not in ("min", "max"):
            raise ValueError(
                f"ReduceLROnPlateau: mode must be min or max, got {mode!r}"
            )
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(
                f"ReduceLROnPlateau: threshold_mode must be rel or abs, got "
                f"{threshold_mode!r}"
            )
        self.mode = mode
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.cooldown = cooldown
        self.min_lrs = _for_each_group(len(optimizer.param_groups), "min_lr", min_lr)
        self.eps = eps
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = 0
        self.cooldown_counter = 0
        super().__init__(optimizer)

    def _start(self) -> None:
        self.last_epoch = 0
        self._last_lr = [float(group["lr"]) for group in self.optimizer.param_groups]

    def lr_at(self, step: float, group: int = 0) -> float:
        """Not a function of the step alone.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(
            "ReduceLROnPlateau: the step size depends on the metric"
        )

    def get_lr(self) -> list[float]:
        return self._last_lr

    def step(self, metrics: Any, epoch: int | None = None) -> None:  # type: ignore[override]
        """Take note of the metric, and reduce the step size if it is time."""
        value = float(metrics)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self.is_better(value, self.best):
            self.best = value
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._last_lr = [float(group["lr"]) for group in self.optimizer.param_groups]

    def _reduce(self) -> None:
        for group, low in zip(self.optimizer.param_groups, self.min_lrs):
            old = float(group["lr"])
            new = max(old * self.factor, low)
            if old - new > self.eps:
                group["lr"] = new

    @property
    def in_cooldown(self) -> bool:
        """Whether the last reduction was a short time ago."""
        return self.cooldown_counter > 0

    def is_better(self, a: float, best: float) -> bool:
        """Return whether `a` improves on `best` by more than the threshold."""
        sign = 1 if self.mode == "min" else -1
        if self.threshold_mode == "abs":
            return sign * a < sign * best - self.threshold
        return sign * a < sign * best * (1 - sign * self.threshold)
