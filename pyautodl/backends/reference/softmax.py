"""What the softmax kernels mean, in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = [
    "log_softmax_bwd",
    "log_softmax_fwd",
    "masked_softmax_bwd",
    "masked_softmax_fwd",
    "softmax_bwd",
    "softmax_fwd",
]

Array = np.ndarray[Any, Any]


def softmax_fwd(x: Array, y: Array, axis: int) -> None:
    """exp(x) over its sum; shifted by the largest, so that nothing overflows."""
    if not x.size:
        return
    e = np.exp(x - x.max(axis, keepdims=True))
    y[...] = e / e.sum(axis, keepdims=True)


def log_softmax_fwd(x: Array, y: Array, axis: int) -> None:
    """x less the logarithm of the sum of exp(x), shifted likewise."""
    if not x.size:
        return
    shifted = x - x.max(axis, keepdims=True)
    y[...] = shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))


def softmax_bwd(g: Array, y: Array, dx: Array, axis: int) -> None:
    """The gradient of softmax from its output."""
    dx[...] = y * (g - (g * y).sum(axis, keepdims=True))


def log_softmax_bwd(g: Array, y: Array, dx: Array, axis: int) -> None:
    """The gradient of log_softmax from its output."""
    dx[...] = g - np.exp(y) * g.sum(axis, keepdims=True)


def masked_softmax_fwd(x: Array, mask: Array, y: Array, axis: int) -> None:
    """Softmax over the entries whose mask is set; the others, and empty rows, are 0."""
    if not x.size:
        return
    x = np.where(mask, x, -np.inf)
    largest = x.max(axis, keepdims=True)
    e = np.exp(x - np.where(largest == -np.inf, 0, largest))
    total = e.sum(axis, keepdims=True)
    y[...] = np.where(mask, e / np.where(total == 0, 1, total), 0)


def masked_softmax_bwd(g: Array, y: Array, mask: Array, dx: Array, axis: int) -> None:
    """The gradient of masked_softmax from its output; 0 where the mask is not set."""
    softmax_bwd(np.where(mask, g, 0), y, dx, axis)
    dx[...] = np.where(mask, dx, 0)
