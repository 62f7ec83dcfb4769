"""Matrix products: what the kernels mean, in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyautodl.backends.codes import ACTIVATION_CLAMP, ACTIVATION_LEAKY

__all__ = ["linear_grad", "matmul"]

NDArray = np.ndarray[Any, Any]


def matmul(
    a: NDArray,
    b: NDArray,
    bias: NDArray | None,
    out: NDArray,
    activation: int,
    p0: float,
    p1: float,
) -> None:
    """out = activation(a @ b + bias), batched over the leading axes."""
    value = np.matmul(a, b)
    if bias is not None:
        value = value + bias
    out[...] = activate(value, activation, p0, p1)


def linear_grad(g: NDArray, x: NDArray, weight: NDArray, bias: NDArray) -> None:
    """weight = g' x and bias = sum of g's rows, of matrices with as many rows."""
    weight[...] = np.matmul(g.T, x)
    bias[...] = g.sum(axis=0)


def activate(value: NDArray, activation: int, p0: float, p1: float) -> NDArray:
    """What products end with: activation 0 is none, 1 clamps to [p0, p1], 2 multiplies
    what is negative by p0.
    """
    if activation == ACTIVATION_CLAMP:
        return np.clip(value, p0, p1)
    if activation == ACTIVATION_LEAKY:
        return np.where(value < 0, value * p0, value)
    return value
