"""Up and down: the step size, and momentum the other way round."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pyautodl.optim.lr_scheduler.cosine import cosine
from pyautodl.optim.lr_scheduler.scheduler import (
    LRScheduler,
    for_each_group,
    refuse_group,
)
from pyautodl.optim.optimizer import Optimizer

__all__ = ["CyclicLR", "OneCycleLR"]

# how CyclicLR's peaks go on -> what that depends on
_MODES = {"triangular": "cycle", "triangular2": "cycle", "exp_range": "iterations"}


class _Cycle(LRScheduler):
    """What moves momentum, or the first beta, too.

    Args:
        optimizer: whose step size and momentum to set.
        starts: the first step size of each group, instead of the one that it has.
        last_epoch: the number of the last step done.

    Attributes:
        cycle_momentum: whether it does.
    """

    per_batch = True
    _absolute = True
    cycle_momentum: bool

    def __init__(
        self, optimizer: Optimizer, starts: Sequence[float], last_epoch: int
    ) -> None:
        self.check_momentum(optimizer)
        if last_epoch == -1:
            for group, start in zip(optimizer.param_groups, starts):
                group["initial_lr"] = start
        super().__init__(optimizer, last_epoch)

    def check_momentum(self, optimizer: Optimizer) -> None:
        """Raise where there is no momentum to move."""
        if self.cycle_momentum and not (
            {"momentum", "betas"} & optimizer.defaults.keys()
        ):
            raise ValueError(
                f"{type(self).__name__}: the optimizer has no momentum; pass "
                "cycle_momentum=False"
            )

    def momentum_at(self, step: float, group: int = 0) -> float:
        """Return the momentum after so many steps."""
        raise NotImplementedError

    def _rebase(self, number: int, base: float) -> None:
        refuse_group(self, number)

    def _move_others(self, step: float) -> None:
        if not self.cycle_momentum:
            return
        for i, group in enumerate(self.optimizer.param_groups):
            momentum = self.momentum_at(step, i)
            if "betas" in group:
                group["betas"] = (momentum, *group["betas"][1:])
            else:
                group["momentum"] = momentum


class CyclicLR(_Cycle):
    """From `base_lr` up to `max_lr` and down again, over and over, in straight lines.

    Args:
        optimizer: whose step size and momentum to set.
        base_lr: the lowest, one number or one for each group.
        max_lr: the peak, likewise.
        step_size_up: how many steps lead up.
        step_size_down: how many lead down; default as many as up.
        mode: how the height of the peaks goes on: 'triangular' stays, 'triangular2' halves
            it with each cycle, 'exp_range' multiplies by `gamma` with each step.
        gamma: see mode.
        scale_fn: the factor of the height, instead of a mode.
        scale_mode: what scale_fn takes: 'cycle', counted from 1, or 'iterations', the step.
        cycle_momentum: set momentum (or the first beta) too, the other way round.
        base_momentum: at the peak.
        max_momentum: at the start of a cycle.
        last_epoch: the number of the last step done.

    Raises:
        ValueError: a mode is unknown, a number of steps is not positive, or the optimizer
            has no momentum.

    Example:
        >>> import pyautodl as ad
        >>> optimizer = ad.optim.SGD([ad.ones(1, requires_grad=True)], 0.1, momentum=0.9)
        >>> make = ad.optim.lr_scheduler.CyclicLR
        >>> schedule = make(optimizer, 1.0, 3.0, step_size_up=2, mode="triangular2")
        >>> [schedule.lr_at(k) for k in range(9)]
        [1.0, 2.0, 3.0, 2.0, 1.0, 1.5, 2.0, 1.5, 1.0]

    Source: Smith, "Cyclical learning rates for training neural networks", 2017.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | Sequence[float],
        max_lr: float | Sequence[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.8,
        max_momentum: float | Sequence[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        if scale_fn is None and mode not in _MODES:
            raise ValueError(
                f"CyclicLR: mode must be one of {', '.join(_MODES)}, got {mode!r}"
            )
        if scale_mode not in ("cycle", "iterations"):
            raise ValueError(
                f"CyclicLR: scale_mode must be cycle or iterations, got {scale_mode!r}"
            )
        down = step_size_up if step_size_down is None else step_size_down
        if step_size_up <= 0 or down <= 0:
            raise ValueError(
                "CyclicLR: expected positive numbers of steps, got step_size_up "
                f"{step_size_up} and step_size_down {step_size_down}"
            )
        self.total_size = float(step_size_up) + float(down)
        self.step_ratio = step_size_up / self.total_size
        self.mode = mode
        self.gamma = gamma
        self.scale_fn = scale_fn
        self.scale_mode = scale_mode if scale_fn is not None else _MODES[mode]
        self.cycle_momentum = cycle_momentum
        groups = len(optimizer.param_groups)
        lows = for_each_group(groups, "base_lr", base_lr)
        self.max_lrs = for_each_group(groups, "max_lr", max_lr)
        self.base_momentums = for_each_group(groups, "base_momentum", base_momentum)
        self.max_momentums = for_each_group(groups, "max_momentum", max_momentum)
        super().__init__(optimizer, lows, last_epoch)

    def _scale(self, x: float) -> float:
        if self.scale_fn is not None:
            return self.scale_fn(x)
        if self.mode == "triangular2":
            return 0.5 ** (x - 1)
        return float(self.gamma**x) if self.mode == "exp_range" else 1.0

    def _height(self, step: float) -> float:
        """How high above the ground, the peak of the first cycle being 1."""
        done, x = divmod(step / self.total_size, 1)
        up = self.step_ratio
        height = x / up if x <= up else (1 - x) / (1 - up)
        return height * self._scale(done + 1 if self.scale_mode == "cycle" else step)

    def lr_at(self, step: float, group: int = 0) -> float:
        low = self.base_lrs[group]
        return low + (self.max_lrs[group] - low) * self._height(step)

    def momentum_at(self, step: float, group: int = 0) -> float:
        high = self.max_momentums[group]
        return high - (high - self.base_momentums[group]) * self._height(step)


class OneCycleLR(_Cycle):
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
        peaks = for_each_group(groups, "max_lr", max_lr)
        starts = [peak / div_factor for peak in peaks]
        low = for_each_group(groups, "base_momentum", base_momentum)
        high = for_each_group(groups, "max_momentum", max_momentum)
        # the last step of each phase; what is reached at the start and at each of these
        self.ends = _phase_ends(total_steps, pct_start, three_phase)
        self.lrs = [starts, peaks, [start / final_div_factor for start in starts]]
        self.momenta = [high, low, high]
        if three_phase:
            self.lrs.insert(2, starts)
            self.momenta.append(high)
        super().__init__(optimizer, starts, last_epoch)

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
            cosine(a, b, done) if self.anneal_strategy == "cos" else a + (b - a) * done
        )

    def lr_at(self, step: float, group: int = 0) -> float:
        if step > self.total_steps:
            raise ValueError(
                f"OneCycleLR: stepped {step} times, past its end after total_steps="
                f"{self.total_steps} steps; likely fix: a larger total_steps"
            )
        return self._between(self.lrs, step, group)

    def momentum_at(self, step: float, group: int = 0) -> float:
        return self._between(self.momenta, step, group)


def _phase_ends(total_steps: int, pct_start: float, three_phase: bool) -> list[float]:
    ends = [float(pct_start * total_steps) - 1, float(total_steps - 1)]
    if three_phase:
        ends.insert(1, float(2 * pct_start * total_steps) - 2)
    return ends
