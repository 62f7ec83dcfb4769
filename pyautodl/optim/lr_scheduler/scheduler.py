"""What every schedule is: a pure function of the number of steps done."""

from __future__ import annotations

from typing import Any, NoReturn

from pyautodl.optim.optimizer import Optimizer
from pyautodl.tensor import NamedConstructor

__all__ = ["LRScheduler", "check_steps", "for_each_group", "refuse_group"]


class LRScheduler(NamedConstructor):
    """The base of schedules; a subclass says `lr_at`.

    Args:
        optimizer: whose step size to set.
        last_epoch: the number of the last step done, -1 at the start; to go on from
            another number the groups need `initial_lr`.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.optim.lr_scheduler import LRScheduler
        >>> class Halving(LRScheduler):
        ...     def lr_at(self, step, group=0):
        ...         return self.base_lrs[group] * 0.5**step
        >>> optimizer = ad.optim.SGD(ad.nn.Linear(1, 1).parameters(), lr=1.0)
        >>> scheduler = Halving(optimizer)
        >>> optimizer.step(), scheduler.step()
        (None, None)
        >>> scheduler.get_last_lr()
        [0.5]
    """

    #: whether its steps are those of the optimizer, not epochs
    per_batch = False
    # whether it begins with its own step size, whatever other schedules did
    _alone = False
    # whether it sets its own at every step: what others did in between is lost
    _absolute = False
    # where it ends, whatever it began with; what is set in between moves relative to that
    _lowest = 0.0

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
        alone = self._alone or self._absolute
        beside_another = self.last_epoch == -1 and not alone
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
        """Go on by one step, or to a given one.

        A group that the optimizer got meanwhile goes on from the step size that it has.

        Raises:
            ValueError: there is such a group, and the schedule has options for each.
        """
        for i in range(len(self.base_lrs), len(self.optimizer.param_groups)):
            self._join(i, self.last_epoch)
        self._step_count += 1
        before = self.last_epoch
        self.last_epoch = before + 1 if epoch is None else epoch  # type: ignore[assignment]
        lrs = []
        for i, group in enumerate(self.optimizer.param_groups):
            lr, current = self.lr_at(self.last_epoch, i), float(group["lr"])
            old = self.lr_at(before, i) if epoch is None else current
            # set by somebody else?
            if current != old and not self._absolute_at(self.last_epoch):
                lr = self._go_on(i, before, old, lr)
            lrs.append(lr)
        self._set(lrs)

    def _absolute_at(self, step: float) -> bool:
        """Whether it sets its own at that step."""
        return self._absolute

    def _lowest_at(self, step: float) -> float:
        """Where what it does at that step ends."""
        return self._lowest

    def _go_on(self, number: int, before: float, old: float, new: float) -> float:
        """What becomes of a step size that another schedule, or the user, has set in the
        place of `old`.
        """
        current = float(self.optimizer.param_groups[number]["lr"])
        low = self._lowest_at(self.last_epoch)
        if old != low:
            return low + (current - low) * (new - low) / (old - low)
        if self.base_lrs[number] == 0:
            # held at 0, and now let go
            self._join(number, before)
            return self.lr_at(self.last_epoch, number)
        # at its end, or about to rise again
        return current if new == low else new

    def _join(self, number: int, step: float) -> None:
        """Find the base of a group: that of which its step size would come at a step."""
        group = self.optimizer.param_groups[number]
        lr, ends = float(group["lr"]), []
        # what is made of the base is a straight line
        for base in (0.0, 1.0):
            self._rebase(number, base)
            ends.append(self.lr_at(step, number))
        low, high = ends
        base = (lr - low) / (high - low) if high != low else lr
        self._rebase(number, base)
        group.setdefault("initial_lr", base)

    def _rebase(self, number: int, base: float) -> None:
        """Set the base of a group, which may be the next one."""
        self.base_lrs[number : number + 1] = [base]

    def _set(self, lrs: list[float]) -> None:
        for group, lr in zip(self.optimizer.param_groups, lrs):
            group["lr"] = lr
        self._last_lr = lrs
        self._move_others(self.last_epoch)

    def _move_others(self, step: float) -> None:
        """Set what the schedule moves besides the step size, as it is after so many steps."""

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
            if key not in ("optimizer", "lr_lambdas", "scale_fn", "_schedulers")
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from where `state_dict` was taken; sets the step size too."""
        self.__dict__.update(state_dict)
        self._set(list(self._last_lr))


def refuse_group(schedule: LRScheduler, number: int) -> NoReturn:
    """Raise for a group of which a schedule with options for each knows nothing."""
    raise ValueError(
        f"{type(schedule).__name__}: the optimizer got group {number} after the schedule "
        "was made, which has no options for it; likely fix: add the group first, or make "
        "the schedule anew"
    )


def check_steps(name: str, **steps: float) -> None:
    """Raise for a number of steps that is not positive."""
    for what, value in steps.items():
        if not value > 0:
            raise ValueError(f"{name}: {what} must be positive, got {value}")


def for_each_group(groups: int, name: str, value: Any) -> list[float]:
    """A value for each parameter group, of one for all or one for each."""
    values = list(value) if isinstance(value, (list, tuple)) else [value] * groups
    if len(values) != groups:
        raise ValueError(f"expected {groups} values for {name}, got {len(values)}")
    return [float(each) for each in values]
