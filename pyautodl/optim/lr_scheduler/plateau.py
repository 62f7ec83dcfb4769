"""What depends on a metric."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pyautodl.optim.lr_scheduler.scheduler import (
    LRScheduler,
    for_each_group,
    refuse_group,
)
from pyautodl.optim.optimizer import Optimizer

__all__ = ["ReduceLROnPlateau"]


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
        self.min_lrs = for_each_group(len(optimizer.param_groups), "min_lr", min_lr)
        # that of groups which the optimizer gets later
        alike = not isinstance(min_lr, (list, tuple))
        self.default_min_lr = self.min_lrs[0] if alike else None
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
        groups = self.optimizer.param_groups
        if len(self.min_lrs) < len(groups):
            if self.default_min_lr is None:
                refuse_group(self, len(self.min_lrs))
            missing = len(groups) - len(self.min_lrs)
            self.min_lrs = self.min_lrs + [self.default_min_lr] * missing
        for group, low in zip(groups, self.min_lrs, strict=True):
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
