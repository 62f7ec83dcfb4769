"""Whether a training overfits, underfits or steps too far, from its losses."""

from __future__ import annotations

import math

__all__ = ["verdict"]

# epochs at least; by what share a loss must have changed to count
_EPOCHS = 3
_RISEN, _BELOW, _FALLING = 0.05, 0.05, 0.01
# how many times the loss before the first step is far above it, where batches differ
_FAR = 3.0
# a jump goes up by this share after a fall; so many of them, in so many epochs at most
_JUMP, _JUMPS, _EPOCHS_A_JUMP = 0.1, 2, 4
# a rise goes up by this share over the lowest before, and leaves the last so far above it
_RISE, _LEFT = 0.5, 0.2
# below the loss before the first step by less, a model has not learned
_LEARNED = 0.05
# a loss that is this part of the one before the first step is low, and may jump
_LOW = 0.1
_SMALLER = (
    "a learning rate of a tenth, nn.utils.clip_grad_norm_ or normalised inputs and targets "
    "may help"
)


def verdict(
    epochs: list[dict[str, float]],
    start: float | None = None,
    failure: str | None = None,
) -> str:
    """See `History.verdict`.

    Raises:
        ValueError: there are too few epochs with a validation loss.
    """
    if failure is not None:
        return f"stopped: {failure}"
    blown = _blown_up(epochs, start)
    if blown is not None:
        return f"too large a learning rate: {blown}; {_SMALLER}"
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
    unsteady = _jumps(train, start) or _rise(train, numbers, start)
    if unsteady is not None:
        return f"too large a learning rate: {name} {unsteady}; {_SMALLER}"
    if start is not None and not _is_above(start, train[-1], _LEARNED):
        return (
            f"not learning: {name} is {train[-1]:.4g} in epoch {numbers[-1]}, and was "
            f"{start:.4g} before the first step; unless that is as low as it gets, another "
            "learning rate may help, and inspect.diagnose looks for other causes"
        )
    best = held.index(min(held))
    fallen = _is_above(train[best], train[-1], _FALLING)
    if _is_above(held[-1], held[best], _RISEN) and fallen:
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


def _blown_up(epochs: list[dict[str, float]], start: float | None) -> str | None:
    """How the loss of training rose far above the one before the first step, which it or
    that of validation is still above.

    The validation loss alone may be there for other reasons.
    """
    losses = [epoch["loss"] for epoch in epochs if "loss" in epoch]
    if start is None or not losses or not all(map(math.isfinite, [*losses, start])):
        return None
    most = max(losses)
    if most <= start + (_FAR - 1) * abs(start):
        return None
    above = [
        f"{name} {epochs[-1][name]:.4g}"
        for name in ("loss", "val_loss")
        if name in epochs[-1] and epochs[-1][name] > start
    ]
    if not above:
        return None
    number = next(i for i, epoch in enumerate(epochs, 1) if epoch.get("loss") == most)
    return (
        f"the loss was {start:.4g} before the first step and rose to {most:.4g} in epoch "
        f"{number}, and in epoch {len(epochs)} {' and '.join(above)} "
        f"{'are' if len(above) > 1 else 'is'} still above that start"
    )


def _jumps(losses: list[float], start: float | None) -> str | None:
    """How losses of training went up again and again after they had fallen.

    Low ones may: there a few samples make the difference.
    """
    low = _LOW * (losses[0] if start is None else start)
    places = [
        i
        for i in range(2, len(losses))
        if losses[i - 1] < losses[i - 2]
        and _is_above(losses[i], losses[i - 1], _JUMP)
        and losses[i] > low
    ]
    if len(places) < max(_JUMPS, len(losses) / _EPOCHS_A_JUMP):
        return None
    last = places[-1]
    return (
        f"jumped up {len(places)} times after it had fallen, at last from "
        f"{losses[last - 1]:.4g} to {losses[last]:.4g}"
    )


def _rise(losses: list[float], numbers: list[int], start: float | None) -> str | None:
    """How losses of training rose far above the lowest, and did not come back."""
    lowest = losses.index(min(losses))
    most = max(losses[lowest:])
    if not _is_above(most, losses[lowest], _RISE):
        return None
    if not _is_above(losses[-1], losses[lowest], _LEFT):
        return None
    if losses[-1] <= _LOW * (losses[0] if start is None else start):
        return None
    return (
        f"rose from {losses[lowest]:.4g} in epoch {numbers[lowest]} to {most:.4g}, and is "
        f"{losses[-1]:.4g} now"
    )


def _is_above(loss: float, other: float, share: float) -> bool:
    return loss - other > share * abs(other)
