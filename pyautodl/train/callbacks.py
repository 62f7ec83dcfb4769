"""Callbacks: what is done between epochs."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

from pyautodl.optim.lr_scheduler import ReduceLROnPlateau

if TYPE_CHECKING:
    from pyautodl.train.trainer import Trainer

__all__ = ["Callback", "Checkpoint", "EarlyStopping", "Schedule"]


class Callback:
    """Called by `Trainer.fit`; a subclass overrides what it needs.

    `state_dict` and `load_state_dict` carry what must survive a checkpoint.
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

    Args:
        monitor: the figure; default "val_loss" where there is validation, else "loss".
        patience: epochs without improvement before it stops.
        min_delta: what counts as an improvement.
        mode: "min" or "max"; default "max" for accuracy and psnr.
        restore_best: load the best weights at the end.

    Raises:
        ValueError: the patience is negative or the mode unknown.
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

    def on_epoch_end(self, trainer: Trainer, figures: dict[str, float]) -> None:
        name = self.monitor or ("val_loss" if "val_loss" in figures else "loss")
        if name not in figures:
            raise ValueError(
                f"EarlyStopping: there is no figure {name!r}; there are {list(figures)}"
            )
        if self._improves(name, figures[name]):
            self.best = figures[name]
            self.best_epoch = trainer.epoch
            self.waited = 0
            state = trainer.model.state_dict()
            self.best_weights = {key: value.clone() for key, value in state.items()}
            return
        self.waited += 1
        if self.waited > self.patience:
            trainer.stop(
                f"{name} has not improved for {self.waited} epochs; best {self.best:.4g} "
                f"in epoch {self.best_epoch}"
            )

    def _improves(self, name: str, value: float) -> bool:
        high = ("accuracy", "psnr")
        mode = self.mode or ("max" if name.removeprefix("val_") in high else "min")
        if math.isnan(self.best):
            return True
        gain = self.best - value if mode == "min" else value - self.best
        return gain > self.min_delta

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
    """

    def __init__(self, path: str | os.PathLike[str], every: int = 1) -> None:
        if every < 1:
            raise ValueError(f"Checkpoint: every must be >= 1, got {every}")
        self.path = path
        self.every = every

    def on_epoch_end(self, trainer: Trainer, figures: dict[str, float]) -> None:
        if trainer.epoch % self.every == 0:
            trainer.save_checkpoint(self.path)


class Schedule(Callback):
    """Moves a learning-rate schedule on.

    Args:
        scheduler: a schedule of `optim.lr_scheduler`.
        per_batch: move on after each step, not after each epoch; default: as the schedule
            wants it, which is so for OneCycleLR and CyclicLR.
        monitor: the figure that ReduceLROnPlateau is given; default as EarlyStopping's.
    """

    def __init__(
        self, scheduler: Any, per_batch: bool | None = None, monitor: str | None = None
    ) -> None:
        self.scheduler = scheduler
        if per_batch is None:
            per_batch = getattr(scheduler, "per_batch", False)
        self.per_batch = per_batch
        self.on_plateau = isinstance(scheduler, ReduceLROnPlateau)
        self.monitor = monitor

    def on_batch_end(self, trainer: Trainer, loss: float) -> None:
        if self.per_batch:
            self.scheduler.step()

    def on_epoch_end(self, trainer: Trainer, figures: dict[str, float]) -> None:
        if self.per_batch:
            return
        if self.on_plateau:
            default = "val_loss" if "val_loss" in figures else "loss"
            self.scheduler.step(figures[self.monitor or default])
        else:
            self.scheduler.step()

    def state_dict(self) -> dict[str, Any]:
        return {"scheduler": self.scheduler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.scheduler.load_state_dict(state["scheduler"])
