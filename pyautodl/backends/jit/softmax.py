"""Softmax kernels for machines without the compiled extension."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

__all__ = [
    "log_softmax_bwd",
    "log_softmax_fwd",
    "masked_softmax_bwd",
    "masked_softmax_fwd",
    "softmax_bwd",
    "softmax_fwd",
]

Array = np.ndarray[Any, Any]


def _rows(x: Array, axis: int) -> Array:
    """The elements along the axis as contiguous rows."""
    x = np.atleast_1d(x)
    moved = np.moveaxis(x, axis, -1)
    return np.ascontiguousarray(moved).reshape(-1, moved.shape[-1])


def _put(rows: Array, out: Array, axis: int) -> None:
    moved = np.moveaxis(np.atleast_1d(out), axis, -1)
    moved[...] = rows.reshape(moved.shape)


def softmax_fwd(x: Array, y: Array, axis: int) -> None:
    """exp(x) over its sum."""
    if x.size:
        rows = _rows(x, axis)
        _put(_softmax(rows, np.empty_like(rows)), y, axis)


def log_softmax_fwd(x: Array, y: Array, axis: int) -> None:
    """x less the logarithm of the sum of exp(x)."""
    if x.size:
        rows = _rows(x, axis)
        _put(_log_softmax(rows, np.empty_like(rows)), y, axis)


def softmax_bwd(g: Array, y: Array, dx: Array, axis: int) -> None:
    """The gradient of softmax from its output."""
    if y.size:
        rows = _rows(y, axis)
        _put(_softmax_grad(_rows(g, axis), rows, np.empty_like(rows)), dx, axis)


def log_softmax_bwd(g: Array, y: Array, dx: Array, axis: int) -> None:
    """The gradient of log_softmax from its output."""
    if y.size:
        rows = _rows(y, axis)
        _put(_log_softmax_grad(_rows(g, axis), rows, np.empty_like(rows)), dx, axis)


def masked_softmax_fwd(x: Array, mask: Array, y: Array, axis: int) -> None:
    """Softmax over the entries whose mask is set."""
    if x.size:
        rows = _rows(x, axis)
        _put(_masked_softmax(rows, _rows(mask, axis), np.empty_like(rows)), y, axis)


def masked_softmax_bwd(g: Array, y: Array, mask: Array, dx: Array, axis: int) -> None:
    """The gradient of masked_softmax from its output."""
    if y.size:
        softmax_bwd(np.where(mask, g, 0).astype(y.dtype), y, dx, axis)
        dx[...] = np.where(mask, dx, 0)


@njit(cache=True, nogil=True, error_model="numpy")
def _softmax(x: Array, y: Array) -> Array:
    for i in range(x.shape[0]):
        largest = x[i, 0]
        for j in range(1, x.shape[1]):
            largest = max(largest, x[i, j])
        total = 0.0
        for j in range(x.shape[1]):
            e = math.exp(x[i, j] - largest)
            y[i, j] = e
            total += e
        for j in range(x.shape[1]):
            y[i, j] /= total
    return y


@njit(cache=True, nogil=True, error_model="numpy")
def _log_softmax(x: Array, y: Array) -> Array:
    for i in range(x.shape[0]):
        largest = x[i, 0]
        for j in range(1, x.shape[1]):
            largest = max(largest, x[i, j])
        total = 0.0
        for j in range(x.shape[1]):
            total += math.exp(x[i, j] - largest)
        shift = math.log(total)
        for j in range(x.shape[1]):
            y[i, j] = (x[i, j] - largest) - shift
    return y


@njit(cache=True, nogil=True, error_model="numpy")
def _masked_softmax(x: Array, mask: Array, y: Array) -> Array:
    for i in range(x.shape[0]):
        largest = -np.inf
        for j in range(x.shape[1]):
            if mask[i, j]:
                largest = max(largest, x[i, j])
        if largest == -np.inf:
            largest = 0.0
        total = 0.0
        for j in range(x.shape[1]):
            e = math.exp(x[i, j] - largest) if mask[i, j] else 0.0
            y[i, j] = e
            total += e
        for j in range(x.shape[1]):
            if mask[i, j] and total != 0:
                y[i, j] /= total
    return y


@njit(cache=True, nogil=True, error_model="numpy")
def _softmax_grad(g: Array, y: Array, dx: Array) -> Array:
    for i in range(y.shape[0]):
        total = 0.0
        for j in range(y.shape[1]):
            total += g[i, j] * y[i, j]
        for j in range(y.shape[1]):
            dx[i, j] = y[i, j] * (g[i, j] - total)
    return dx


@njit(cache=True, nogil=True, error_model="numpy")
def _log_softmax_grad(g: Array, y: Array, dx: Array) -> Array:
    for i in range(y.shape[0]):
        total = 0.0
        for j in range(y.shape[1]):
            total += g[i, j]
        for j in range(y.shape[1]):
            dx[i, j] = g[i, j] - math.exp(y[i, j]) * total
    return dx
