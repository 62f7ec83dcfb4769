"""Averages of a model's weights over its training, and the schedule that goes with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pyautodl.autograd.grad_mode import no_grad
from pyautodl.errors import describe
from pyautodl.functional.creation import tensor
from pyautodl.nn.module import Module
from pyautodl.nn.norm import BatchNorm1d, BatchNorm2d, BatchNorm3d
from pyautodl.optim.lr_scheduler.cosine import cosine
from pyautodl.optim.lr_scheduler.scheduler import (
    LRScheduler,
    for_each_group,
    refuse_group,
)
from pyautodl.optim.optimizer import Optimizer
from pyautodl.tensor import Tensor

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]

# average of one tensor: (average, model's, how many are in it) -> the new average
Average = Callable[[Tensor, Tensor, Any], Tensor]
# of all tensors, in place
MultiAverage = Callable[[list[Tensor], list[Tensor], Any], None]


def _check_decay(name: str, decay: float) -> None:
    if not 0.0 <= decay <= 1.0:
        raise ValueError(f"{name}: decay must be from 0 to 1, got {decay}")


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """Return the rule of an average that forgets: decay * average + (1 - decay) * model.

    Args:
        decay: what is kept of the average at each update.

    Raises:
        ValueError: decay is not from 0 to 1.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.optim.swa_utils import get_ema_avg_fn
        >>> get_ema_avg_fn(0.75)(ad.tensor(1.0), ad.tensor(5.0), 2)
        tensor(2.)
    """
    _check_decay("get_ema_avg_fn", decay)

    def average(averaged: Tensor, model: Tensor, count: Any) -> Tensor:
        return averaged * decay + model * (1 - decay)

    return average


def get_swa_avg_fn() -> Average:
    """Return the rule of the plain mean of all updates.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.optim.swa_utils import get_swa_avg_fn
        >>> get_swa_avg_fn()(ad.tensor(1.0), ad.tensor(4.0), 2)
        tensor(2.)
    """

    def average(averaged: Tensor, model: Tensor, count: Any) -> Tensor:
        return averaged + (model - averaged) / (int(count) + 1)

    return average


def _one_by_one(rule: Average, share: Callable[[int], float]) -> MultiAverage:
    """A rule in place: floats are moved by a share, others take what `rule` says."""

    def average(averaged: list[Tensor], model: list[Tensor], count: Any) -> None:
        moved = share(int(count))
        with no_grad():
            for mine, theirs in zip(averaged, model):
                if mine.is_floating_point():
                    mine.lerp_(theirs.detach(), moved)
                else:
                    mine.copy_(rule(mine, theirs, count))

    return average


def get_ema_multi_avg_fn(decay: float = 0.999) -> MultiAverage:
    """Return the rule of `get_ema_avg_fn` for all tensors at once, in place.

    Args:
        decay: what is kept of the average at each update.

    Raises:
        ValueError: decay is not from 0 to 1.
    """
    _check_decay("get_ema_multi_avg_fn", decay)
    return _one_by_one(get_ema_avg_fn(decay), lambda count: 1 - decay)


def get_swa_multi_avg_fn() -> MultiAverage:
    """Return the rule of `get_swa_avg_fn` for all tensors at once, in place."""
    return _one_by_one(get_swa_avg_fn(), lambda count: 1 / (count + 1))


class AveragedModel(Module):
    """A copy of a model whose weights are averages of the model's over its training.

    Args:
        model: is copied; train it, and call `update_parameters(model)` now and then.
        device: taken for PyTorch's sake; there is one device.
        avg_fn: the rule for one tensor, of (average, model's, number of updates so far).
        multi_avg_fn: the rule for lists of tensors, in place; the plain mean if neither is
            given.
        use_buffers: average the buffers, too (the statistics of batch norm); else they are
            the model's of the last update, and `update_bn` makes better ones.

    Raises:
        ValueError: both rules are given.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
        >>> model = ad.nn.Linear(1, 1, bias=False)
        >>> _ = ad.nn.init.zeros_(model.weight)
        >>> slow = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
        >>> slow.update_parameters(model)
        >>> _ = ad.nn.init.ones_(model.weight)
        >>> slow.update_parameters(model)
        >>> slow(ad.ones(1)).item()
        0.10000000149011612

    Source: Izmailov et al., "Averaging weights leads to wider optima and better
    generalization", 2018.
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Average | None = None,
        multi_avg_fn: MultiAverage | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(model, Module):
            raise TypeError(
                f"AveragedModel: expected a Module, got {describe(model)}; likely fix: "
                "the model, not its parameters"
            )
        if avg_fn is not None and multi_avg_fn is not None:
            raise ValueError("AveragedModel: give one of avg_fn and multi_avg_fn")
        self.module = _copy_of(model)
        self.register_buffer("n_averaged", tensor(0))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the averaged copy."""
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Take the model's weights into the average; the first time they are copied.

        Args:
            model: the one that this was made of, or one like it.

        Raises:
            ValueError: it has other parameters or buffers.
        """
        mine: list[Tensor] = list(self.module.parameters())
        theirs: list[Tensor] = list(model.parameters())
        my_buffers, buffers = list(self.module.buffers()), list(model.buffers())
        for what, here, there in (
            ("parameters", mine, theirs),
            ("buffers", my_buffers, buffers),
        ):
            if [each.shape for each in here] != [each.shape for each in there]:
                raise ValueError(
                    f"AveragedModel: the {what} of the model are others than those of "
                    "the copy; likely fix: the model that it was made of, not wrapped"
                )
        averaged = mine + my_buffers if self.use_buffers else mine
        current = theirs + buffers if self.use_buffers else theirs
        with no_grad():
            if int(self.n_averaged) == 0:
                _copy_all(averaged, current)
            else:
                self._average(averaged, current)
            if not self.use_buffers:
                _copy_all(my_buffers, buffers)
            self.n_averaged += 1

    def _average(self, averaged: list[Tensor], current: list[Tensor]) -> None:
        if self.avg_fn is not None:
            for mine, theirs in zip(averaged, current):
                mine.copy_(self.avg_fn(mine.detach(), theirs, self.n_averaged))
            return
        rule = self.multi_avg_fn or get_swa_multi_avg_fn()
        rule(
            [each.detach() for each in averaged],
            [each.detach() for each in current],
            self.n_averaged,
        )


def _copy_of(model: Module) -> Module:
    # imported here: copy is needed once a model, not by `import pyautodl.optim`
    from copy import deepcopy

    return deepcopy(model)


def _copy_all(to: list[Tensor], source: list[Tensor]) -> None:
    for mine, theirs in zip(to, source):
        mine.copy_(theirs)


def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Compute the statistics of a model's batch norms anew, as means over a data set.

    An average of weights has been evaluated on nothing yet: run this before using it.

    Args:
        loader: gives batches, or tuples and lists that begin with one.
        model: its batch norms get new running means and variances.
        device: taken for PyTorch's sake; there is one device.

    Example:
        >>> import pyautodl as ad
        >>> model = ad.nn.BatchNorm1d(1)
        >>> ad.optim.swa_utils.update_bn([ad.ones(4, 1) * 3, ad.ones(4, 1) * 5], model)
        >>> model.running_mean
        tensor([4.])
    """
    norms: list[Any] = [
        each
        for each in model.modules()
        if isinstance(each, (BatchNorm1d, BatchNorm2d, BatchNorm3d))
        and each.track_running_stats
    ]
    if not norms:
        return
    momenta = [each.momentum for each in norms]
    was_training = model.training
    model.train()
    for each in norms:
        each.reset_running_stats()
        # the plain mean over all batches
        each.momentum = None
    try:
        with no_grad():
            for batch in loader:
                model(batch[0] if isinstance(batch, (list, tuple)) else batch)
    finally:
        for each, momentum in zip(norms, momenta):
            each.momentum = momentum
        model.train(was_training)


class SWALR(LRScheduler):
    """The step size from its start to `swa_lr`, where it stays.

    Args:
        optimizer: whose step size to set.
        swa_lr: the end, one for all groups or one for each.
        anneal_epochs: how many steps there.
        anneal_strategy: along half a cosine ('cos') or a line ('linear').
        last_epoch: the number of the last step done.

    Raises:
        ValueError: an unknown strategy, or a negative number of steps.

    Example:
        >>> import pyautodl as ad
        >>> optimizer = ad.optim.SGD([ad.ones(1, requires_grad=True)], lr=1.0)
        >>> schedule = ad.optim.swa_utils.SWALR(optimizer, 0.5, anneal_epochs=2)
        >>> [round(schedule.lr_at(k), 6) for k in range(4)]
        [1.0, 0.75, 0.5, 0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | list[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                "SWALR: anneal_strategy must be one of cos, linear, got "
                f"{anneal_strategy!r}"
            )
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(
                f"SWALR: anneal_epochs must be a whole number from 0, got {anneal_epochs}"
            )
        self.anneal_epochs = anneal_epochs
        self.anneal_strategy = anneal_strategy
        groups = optimizer.param_groups
        self.swa_lrs = for_each_group(len(groups), "swa_lr", swa_lr)
        for group, end in zip(groups, self.swa_lrs):
            group["swa_lr"] = end
        super().__init__(optimizer, last_epoch)

    def _left(self, step: float) -> float:
        """The share of the start that is left after so many steps."""
        done = min(1.0, step / self.anneal_epochs) if self.anneal_epochs else 1.0
        return 1 - done if self.anneal_strategy == "linear" else cosine(1.0, 0.0, done)

    def lr_at(self, step: float, group: int = 0) -> float:
        end = self.swa_lrs[group]
        return end + (self.base_lrs[group] - end) * self._left(step)

    def _go_on(self, number: int, before: float, old: float, new: float) -> float:
        # from where the schedule before it has come to
        end, left = self.swa_lrs[number], self._left(before)
        if left == 0:
            return end
        current = float(self.optimizer.param_groups[number]["lr"])
        return end + (current - end) / left * self._left(self.last_epoch)

    def _join(self, number: int, step: float) -> None:
        refuse_group(self, number)
