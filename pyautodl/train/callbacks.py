"""Callbacks: what is done between epochs."""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from pyautodl.errors import warn
from pyautodl.optim.lr_scheduler import ReduceLROnPlateau

if TYPE_CHECKING:
    from pyautodl.train.trainer import Trainer

__all__ = ["Callback", "Checkpoint", "EarlyStopping", "Schedule"]


class Callback:
    """Called by `Trainer.fit`; a subclass overrides what it needs.

    `state_dict` and `load_state_dict` carry what must survive a checkpoint.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn, train
        >>> class Counted(train.Callback):
        ...     def on_epoch_end(self, trainer, figures):
        ...         print("epoch", trainer.epoch, "done")
        >>> model = nn.Linear(1, 1)
        >>> optimizer = ad.optim.SGD(model.parameters(), lr=0.1)
        >>> data = ad.data.TensorDataset(ad.ones(4, 1), ad.ones(4, 1))
        >>> trainer = train.Trainer(model, nn.MSELoss(), optimizer, callbacks=[Counted()])
        >>> history = trainer.fit(data, epochs=2, progress=False)
        epoch 1 done
        epoch 2 done
    """

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Called before the first epoch."""

    def on_batch_end(self, trainer: Trainer, loss: float) -> None:
        """Called after each step of the optimizer."""

    def on_epoch_end(self, trainer: Trainer, figures: dict[str, float]) -> None:
        """Called after training and validation of an epoch."""

    def on_fit_end(self, trainer: Trainer) -> None:
        """Called after the last epoch."""

    def state_dict(self) -> dict[str, Any]:
        """What must survive a checkpoint."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what a checkpoint holds."""


class EarlyStopping(Callback):
    """Stops when a figure no longer gets better, and puts the best weights back.

    It also stops, with a warning, at a figure that is nan or infinite. `Trainer.stopped`
    tells the reason.

    Args:
        monitor: the figure; default "val_loss" where there is validation, else "loss".
        patience: after so many epochs in a row without improvement it stops; 0 is as 1.
        min_delta: what counts as an improvement.
        mode: "min" or "max"; default "max" for accuracy and psnr.
        restore_best: load the best weights at the end.

    Raises:
        ValueError: the patience is negative or the mode unknown; from `fit`, before its
            first epoch: there is no such figure.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import nn, train
        >>> model = nn.Linear(1, 1)
        >>> optimizer = ad.optim.SGD(model.parameters(), lr=0.0)
        >>> data = ad.data.TensorDataset(ad.ones(4, 1), ad.ones(4, 1))
        >>> stop = train.EarlyStopping(patience=2)
        >>> trainer = train.Trainer(model, nn.MSELoss(), optimizer, callbacks=[stop])
        >>> len(trainer.fit(data, epochs=9, progress=False).epochs)
        3
    """

    def __init__(
        self,
        monitor: str | None = None,
        patience: int = 5,
        min_delta: float = 0.0,
        mode: str | None = None,
        restore_best: bool = True,
    ) -> None:
        if patience < 0:
            raise ValueError(f"EarlyStopping: patience must be >= 0, got {patience}")
        if mode not in (None, "min", "max"):
            raise ValueError(
                f"EarlyStopping: mode must be 'min' or 'max', got {mode!r}"
            )
        self.monitor = monitor
        self.patience = patience
        self.min_delta = min_delta
        self.mode = mode
        self.restore_best = restore_best
        self.best = math.nan
        self.best_epoch = -1
        self.waited = 0
        self.best_weights: dict[str, Any] | None = None

    def on_fit_begin(self, trainer: Trainer) -> None:
        _check_monitor("EarlyStopping", self.monitor, trainer)
        if self.waited >= self.patience:
            # it has ended an earlier fit, and now more is wanted
            self.waited = 0

    def on_epoch_end(self, trainer: Trainer, figures: dict[str, float]) -> None:
        name = _monitored("EarlyStopping", self.monitor, figures)
        value = figures[name]
        if self._improves(name, value):
            self.best = value
            self.best_epoch = trainer.epoch
            self.waited = 0
            state = trainer.model.state_dict()
            self.best_weights = {key: value.clone() for key, value in state.items()}
        else:
            self.waited += 1
        if not math.isfinite(value):
            reason = f"{name} is {value} in epoch {trainer.epoch}{self._best()}"
            warn(f"EarlyStopping: {reason}")
            trainer.stop(reason)
        elif self.waited and self.waited >= self.patience:
            epochs = "an epoch" if self.waited == 1 else f"{self.waited} epochs"
            trainer.stop(f"{name} has not improved for {epochs}{self._best()}")

    def _improves(self, name: str, value: float) -> bool:
        # of validation, or of training as that is
        measured = name.removeprefix("val_").removeprefix("train_")
        mode = self.mode or ("max" if measured in ("accuracy", "psnr") else "min")
        if math.isnan(self.best):
            return not math.isnan(value)
        gain = self.best - value if mode == "min" else value - self.best
        return gain > self.min_delta

    def _best(self) -> str:
        if self.best_weights is None:
            return ""
        restored = ", whose weights are put back" if self.restore_best else ""
        return f"; best {self.best:.4g} in epoch {self.best_epoch}{restored}"

    def on_fit_end(self, trainer: Trainer) -> None:
        if self.restore_best and self.best_weights is not None:
            trainer.model.load_state_dict(self.best_weights)

    def state_dict(self) -> dict[str, Any]:
        return {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "waited": self.waited,
            "best_weights": self.best_weights,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in ("best", "best_epoch", "waited", "best_weights"):
            setattr(self, name, state[name])


class Checkpoint(Callback):
    """Saves the whole state of the training after each epoch.

    Args:
        path: the file; it is replaced as a whole, never left half written.
        every: save after each so many epochs.

    `saved_epoch` is the last epoch that it has saved, None before the first.

    Example:
        >>> from pyautodl import train
        >>> checkpoint = train.Checkpoint("training.ckpt", every=5)
        >>> checkpoint.saved_epoch is None
        True
    """

    def __init__(self, path: str | os.PathLike[str], every: int = 1) -> None:
        if every < 1:
            raise ValueError(f"Checkpoint: every must be >= 1, got {every}")
        self.path = path
        self.every = every
        self.saved_epoch: int | None = None

    def on_epoch_end(self, trainer: Trainer, figures: dict[str, float]) -> None:
        if trainer.epoch % self.every == 0:
            trainer.save_checkpoint(self.path)
            self.saved_epoch = trainer.epoch


class Schedule(Callback):
    """Moves a learning-rate schedule on.

    Args:
        scheduler: a schedule of `optim.lr_scheduler`.
        per_batch: move on after each step, not after each epoch; default: as the schedule
            wants it, which is so for OneCycleLR and CyclicLR.
        monitor: the figure that ReduceLROnPlateau is given; default as EarlyStopping's.

    Raises:
        TypeError: the scheduler can't be moved on: it has no `step`.
        ValueError: from `fit`, before its first epoch: the schedule is over another
            optimizer than the trainer's, or there is no such figure.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl import train
        >>> optimizer = ad.optim.SGD(ad.nn.Linear(1, 1).parameters(), lr=0.1)
        >>> schedule = ad.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)
        >>> train.Schedule(schedule).per_batch
        False
    """

    def __init__(
        self, scheduler: Any, per_batch: bool | None = None, monitor: str | None = None
    ) -> None:
        if not callable(getattr(scheduler, "step", None)):
            raise TypeError(
                "Schedule: expected a schedule of optim.lr_scheduler, got "
                f"{scheduler!r}; likely fix: optim.lr_scheduler.CosineAnnealingLR("
                "optimizer, T_max=epochs) or another of them"
            )
        self.scheduler = scheduler
        if per_batch is None:
            per_batch = getattr(scheduler, "per_batch", False)
        self.per_batch = per_batch
        self.on_plateau = isinstance(scheduler, ReduceLROnPlateau)
        self.monitor = monitor

    def on_fit_begin(self, trainer: Trainer) -> None:
        optimizer = getattr(self.scheduler, "optimizer", trainer.optimizer)
        if optimizer is not trainer.optimizer:
            raise ValueError(
                f"Schedule: {type(self.scheduler).__name__} is over another "
                f"{type(optimizer).__name__} than the one that trains; make it of "
                "trainer.optimizer"
            )
        if self.on_plateau:
            _check_monitor("Schedule", self.monitor, trainer)

    def on_batch_end(self, trainer: Trainer, loss: float) -> None:
        if self.per_batch:
            self.scheduler.step()

    def on_epoch_end(self, trainer: Trainer, figures: dict[str, float]) -> None:
        if self.per_batch:
            return
        if self.on_plateau:
            name = _monitored("Schedule", self.monitor, figures)
            self.scheduler.step(figures[name])
        else:
            self.scheduler.step()

    def state_dict(self) -> dict[str, Any]:
        return {"scheduler": self.scheduler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.scheduler.load_state_dict(state["scheduler"])


def _monitored(callback: str, monitor: str | None, figures: Collection[str]) -> str:
    """The name of the figure that a callback looks at."""
    name = monitor or ("val_loss" if "val_loss" in figures else "loss")
    if name in figures:
        return name
    hint = ""
    if name.startswith("val_") and name.removeprefix("val_") in figures:
        hint = "; it needs validation data: fit(train, validation)"
    elif close := difflib.get_close_matches(name, figures, 1):
        hint = f"; did you mean {close[0]!r}?"
    raise ValueError(
        f"{callback}: there is no figure {name!r}; there are {list(figures)}{hint}"
    )


def _check_monitor(callback: str, monitor: str | None, trainer: Trainer) -> None:
    """Refuse a figure that there will not be, before any epoch is trained for it."""
    ours = (EarlyStopping, Checkpoint, Schedule)
    # a callback of the user's may add figures of its own to those of an epoch
    if all(isinstance(each, ours) for each in trainer.callbacks):
        _monitored(callback, monitor, trainer.figure_names)
