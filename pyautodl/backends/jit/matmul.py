"""Matrix products for machines without the extension.

Rows of `b` are added up row by row of `a`, so the innermost loop runs along memory and
LLVM makes vectors of it; blocks of columns keep the rows of `b` in use in the cache.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from pyautodl.backends.codes import ACTIVATION_CLAMP, ACTIVATION_NONE

__all__ = ["linear_grad", "matmul"]

NDArray = np.ndarray[Any, Any]

_COLUMNS = 512
_DEPTH = 64


@njit(cache=True, nogil=True, error_model="numpy")
def _product(a: NDArray, b: NDArray, out: NDArray) -> None:
    """out (n, i, j) += a (n, i, k) @ b (n, k, j), by blocks of k and j."""
    count, rows, columns = out.shape
    depth = a.shape[2]
    for index in range(count):
        for j0 in range(0, columns, _COLUMNS):
            j1 = min(j0 + _COLUMNS, columns)
            for k0 in range(0, depth, _DEPTH):
                for i in range(rows):
                    row = out[index, i, j0:j1]
                    for k in range(k0, min(k0 + _DEPTH, depth)):
                        left = a[index, i, k]
                        right = b[index, k, j0:j1]
                        for j in range(j1 - j0):
                            row[j] += left * right[j]


@njit(cache=True, nogil=True, error_model="numpy")
def _activate(flat: NDArray, activation: int, p0: float, p1: float) -> None:
    for i in range(flat.size):
        value = flat[i]
        if activation == ACTIVATION_CLAMP:
            if value < p0:
                flat[i] = p0
            elif value > p1:
                flat[i] = p1
        elif value < 0:
            flat[i] = value * p0


def matmul(
    a: NDArray,
    b: NDArray,
    bias: NDArray | None,
    out: NDArray,
    activation: int,
    p0: float,
    p1: float,
) -> None:
    """out = activation(a @ b + bias), batched; see the reference."""
    m, n = out.shape[-2:]
    k = a.shape[-1]
    count = math.prod(out.shape[:-2])
    total = np.zeros((count, m, n), out.dtype)
    if bias is not None:
        total += np.broadcast_to(bias, out.shape).reshape(total.shape)
    left = np.ascontiguousarray(np.broadcast_to(a, (*out.shape[:-2], m, k)))
    right = np.ascontiguousarray(np.broadcast_to(b, (*out.shape[:-2], k, n)))
    _product(left.reshape(count, m, k), right.reshape(count, k, n), total)
    if activation != ACTIVATION_NONE:
        _activate(total.reshape(-1), activation, p0, p1)
    out[...] = total.reshape(out.shape)


def linear_grad(g: NDArray, x: NDArray, weight: NDArray, bias: NDArray) -> None:
    """weight = g' x, bias = sum of g's rows; see the reference."""
    matmul(g.T, x, None, weight, ACTIVATION_NONE, 0.0, 0.0)
    ones = np.ones((1, g.shape[0]), g.dtype)
    matmul(ones, g, None, bias.reshape(1, -1), 0, 0.0, 0.0)
