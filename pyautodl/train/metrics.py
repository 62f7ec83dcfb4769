"""Metrics: numbers that people read beside the loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pyautodl.tensor import Tensor

__all__ = ["METRICS", "accuracy", "mean_absolute_error", "mean_squared_error", "psnr"]

Metric = Callable[[Tensor, Tensor], Any]


def accuracy(output: Tensor, target: Tensor, threshold: float | None = None) -> float:
    """The share of samples whose class is right.

    Args:
        output: scores (n, c, ...), or one score a sample.
        target: classes (n, ...), or one-hot or soft targets of the output's shape.
        threshold: above which the class of one score a sample is 1; default 0.5 if all
            scores lie in [0, 1] and 0 otherwise. `Trainer` knows it where the loss takes
            probabilities or logits.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.train import accuracy
        >>> accuracy(ad.tensor([[2.0, 1.0], [0.0, 3.0]]), ad.tensor([0, 0]))
        0.5
    """
    if output.ndim > 1 and output.shape[1] > 1:
        found = output.argmax(1)
        wanted = target.argmax(1) if target.shape == output.shape else target
    else:
        scores = output.reshape(-1)
        if threshold is None:
            bounded = bool((scores >= 0).all()) and bool((scores <= 1).all())
            threshold = 0.5 if bounded else 0.0
        found = (scores > threshold).long()
        wanted = (target.reshape(-1) > 0.5).long()
    right = found.reshape(-1) == wanted.reshape(-1)
    return right.sum().item() / right.numel()


def mean_absolute_error(output: Tensor, target: Tensor) -> float:
    """The mean distance between output and target.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.train import mean_absolute_error
        >>> mean_absolute_error(ad.tensor([1.0, 2.0]), ad.tensor([1.0, 4.0]))
        1.0
    """
    return (output - target).abs().mean().item()


def mean_squared_error(output: Tensor, target: Tensor) -> float:
    """The mean squared distance between output and target.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.train import mean_squared_error
        >>> mean_squared_error(ad.tensor([1.0, 2.0]), ad.tensor([1.0, 4.0]))
        2.0
    """
    difference = output - target
    return (difference * difference).mean().item()


def psnr(output: Tensor, target: Tensor) -> float:
    """The peak signal-to-noise ratio in dB, for values from 0 to 1.

    Args:
        output: images.
        target: what they should be.

    Example:
        >>> import pyautodl as ad
        >>> from pyautodl.train import psnr
        >>> round(psnr(ad.tensor([0.5, 0.6]), ad.tensor([0.6, 0.5])), 4)
        20.0
    """
    error = mean_squared_error(output, target)
    return math.inf if error == 0 else -10 * math.log10(error)


METRICS: dict[str, Metric] = {
    "accuracy": accuracy,
    "mae": mean_absolute_error,
    "mse": mean_squared_error,
    "psnr": psnr,
}
