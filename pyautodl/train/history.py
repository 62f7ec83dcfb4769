"""What a training has measured, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["History"]


class History:
    """The figures of each epoch, by name; those of validation begin with "val_".

    Iterating gives the names, as with a dict, and `dict(history)` the lists by name;
    `len(history)` is the number of epochs.

    Args:
        epochs: the figures of epochs, a dict each.
        start: the loss before the first step.

    Attributes:
        epochs: the figures of epochs, a dict each.
        start: the loss before the first step, as far as it is known; `Trainer` takes that
            of the first batch.
        failure: why `Trainer.fit` gave up, or None.

    Example:
        >>> from pyautodl.train import History
        >>> history = History()
        >>> history.append({"loss": 0.5, "val_loss": 0.7})
        >>> history["val_loss"]
        [0.7]
        >>> dict(history)
        {'loss': [0.5], 'val_loss': [0.7]}
    """

    # of the class, for those that were pickled before there were such
    start: float | None = None
    failure: str | None = None

    def __init__(
        self,
        epochs: list[dict[str, float]] | None = None,
        *,
        start: float | None = None,
    ) -> None:
        self.epochs: list[dict[str, float]] = list(epochs or [])
        self.start = start
        self.failure = None

    def append(self, figures: dict[str, float]) -> None:
        """Add an epoch."""
        self.epochs.append(dict(figures))

    def names(self) -> list[str]:
        """The names of all figures, in the order of their appearance."""
        return list(dict.fromkeys(name for epoch in self.epochs for name in epoch))

    def keys(self) -> list[str]:
        """The same, as of a dict."""
        return self.names()

    def items(self) -> list[tuple[str, list[float]]]:
        """The names with their figures, as of a dict."""
        return [(name, self[name]) for name in self.names()]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def __getitem__(self, name: str) -> list[float]:
        if name not in self.names():
            raise KeyError(f"history has {self.names()}, not {name!r}")
        return [epoch[name] for epoch in self.epochs if name in epoch]

    def __len__(self) -> int:
        return len(self.epochs)

    def __repr__(self) -> str:
        last = (
            ", ".join(f"{k} {v:.4g}" for k, v in self.epochs[-1].items())
            if self.epochs
            else ""
        )
        return f"History({len(self)} epochs{'; last: ' if last else ''}{last})"

    def _repr_html_(self) -> str:
        """A table of the epochs, for notebooks."""
        names = self.names()
        head = "".join(f"<th>{name}</th>" for name in ("epoch", *names))
        rows = []
        for number, epoch in enumerate(self.epochs, 1):
            cells = [f"{epoch[name]:.4g}" if name in epoch else "" for name in names]
            row = "".join(f"<td>{cell}</td>" for cell in (str(number), *cells))
            rows.append(f"<tr>{row}</tr>")
        return f"<table><tr>{head}</tr>{''.join(rows)}</table>"

    def verdict(self) -> str:
        """Say whether the model learns too much by heart, or too little, and what may help.

        Too large a learning rate: the loss rose far above `start` and stayed above it, or
        jumps up and down. Overfitting: the validation loss has risen for some epochs, while
        that of training still falls. Underfitting: the validation loss is below that of
        training. It goes by "train_loss", if `fit(evaluate_train=True)` measured it: "loss"
        is a mean over the epoch, of augmented samples and with dropout, and so is above it.
        Not learning: neither loss is below that of the first epoch, or that of training not
        below `start`. Diverged, stopped: a loss is not finite.

        Raises:
            ValueError: there are fewer than 3 epochs with a validation loss, and nothing
                else is to be said.

        Example:
            >>> from pyautodl.train import History
            >>> figures = zip([9, 5, 3, 2, 1], [9, 6, 5, 6, 8])
            >>> history = History([{"loss": a, "val_loss": b} for a, b in figures])
            >>> print(history.verdict().split(",")[0])
            overfitting: since epoch 3 val_loss has risen from 5 to 8
        """
        from pyautodl.train.verdict import verdict

        return verdict(self.epochs, self.start, self.failure)

    def plot(self, path: Any = None) -> Any:
        """Draw training against validation, a panel for each figure.

        Args:
            path: where to write the picture; None returns the figure alone.

        Raises:
            ImportError: matplotlib is not installed.
        """
        from pyautodl.plot import curves

        return curves(self, path)
