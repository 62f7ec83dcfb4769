"""Metrics: numbers that people read beside the loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pyautodl.tensor import Tensor

__all__ = ["METRICS", "accuracy", "mean_absolute_error", "mean_squared_error", "psnr"]

Metric = Callable[[Tensor, Tensor], Any]


def accuracy(output: Tensor, target: Tensor) -> float:
    """The share of samples whose class is right.

    Args:
        output: scores (n, c, ...), or one score a sample, whose class is 1 above 0.5 if
            all lie in [0, 1] and above 0 otherwise.
        target: classes (n, ...), or one-hot or soft targets of the output's shape.

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
        bounded = bool((scores >= 0).all()) and bool((scores <= 1).all())
        found = (scores > (0.5 if bounded else 0.0)).long()
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
