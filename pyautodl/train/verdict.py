"""Whether a training overfits or underfits, from its losses."""

from __future__ import annotations

import math

__all__ = ["verdict"]

# epochs at least; by what share a loss must have changed to count
_EPOCHS = 3
_RISEN, _BELOW, _FALLING = 0.05, 0.05, 0.01


def verdict(epochs: list[dict[str, float]]) -> str:
    """See `History.verdict`.

    Raises:
        ValueError: there are too few epochs with a validation loss.
    """
    measured = [
        (number, epoch) for number, epoch in enumerate(epochs, 1) if "val_loss" in epoch
    ]
    if len(measured) < _EPOCHS:
        raise ValueError(
            f"verdict: expected {_EPOCHS} epochs with a validation loss, got "
            f"{len(measured)}; fit(train, validation, epochs) measures it"
        )
    name = (
        "train_loss" if all("train_loss" in epoch for _, epoch in measured) else "loss"
    )
    numbers = [number for number, _ in measured]
    train = [epoch[name] for _, epoch in measured]
    held = [epoch["val_loss"] for _, epoch in measured]
    if all(map(math.isfinite, train)) and not math.isfinite(held[-1]):
        return (
            f"val_loss is {held[-1]}, though {name} is finite: validation samples that are "
            "nan or far from those of training; remove them or fill the values in"
        )
    if not all(map(math.isfinite, train + held)):
        return "diverged: a loss is nan or infinite; a smaller learning rate may help"
    best = held.index(min(held))
    if _is_above(held[-1], held[best], _RISEN) and train[-1] < train[best]:
        return (
            f"overfitting: since epoch {numbers[best]} val_loss has risen from "
            f"{held[best]:.4g} to {held[-1]:.4g}, {name} has fallen from {train[best]:.4g} "
            f"to {train[-1]:.4g}; more samples or augmentation, dropout, weight decay, a "
            "smaller model or EarlyStopping may help"
        )
    if not any(_is_above(each[0], each[-1], _FALLING) for each in (train, held)):
        return (
            f"not learning: {name} was {train[0]:.4g} in epoch {numbers[0]} and is "
            f"{train[-1]:.4g} now, val_loss {held[0]:.4g} and {held[-1]:.4g}; unless that is "
            "as low as they get, another learning rate may help, and inspect.diagnose looks "
            "for other causes"
        )
    if _is_above(train[-1], held[-1], _BELOW):
        text = f"{name} is {train[-1]:.4g}, above val_loss with {held[-1]:.4g}"
        if name == "loss":
            return (
                f"perhaps underfitting: {text}, but measured while the model learned, with "
                "augmentation and dropout if there were any; fit(evaluate_train=True) tells"
            )
        return (
            f"underfitting: {text}; a larger model, more epochs, a larger learning rate, "
            "less dropout and weight decay may help"
        )
    if best == len(held) - 1 and _is_above(held[-2], held[-1], _FALLING):
        return (
            f"still learning: val_loss has fallen to {held[-1]:.4g} in epoch {numbers[-1]}; "
            "more epochs may help"
        )
    return (
        f"neither overfitting nor underfitting: val_loss is {held[-1]:.4g}, {name} "
        f"{train[-1]:.4g}"
    )


def _is_above(loss: float, other: float, share: float) -> bool:
    return loss - other > share * abs(other)
