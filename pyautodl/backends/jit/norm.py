"""Batch norm for machines without the compiled extension."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

__all__ = ["batch_norm_bwd", "batch_norm_fwd"]

Array = np.ndarray[Any, Any]


def _rows(x: Array) -> Array:
    """Rows of channels; a view if the channels lie innermost."""
    return np.ascontiguousarray(np.moveaxis(x, 1, -1)).reshape(-1, x.shape[1])


def _put(rows: Array, out: Array) -> None:
    moved = np.moveaxis(out, 1, -1)
    moved[...] = rows.reshape(moved.shape)


def _or_constant(values: Array | None, like: Array, constant: float) -> Array:
    return np.full(like.shape[1], constant, like.dtype) if values is None else values


def batch_norm_fwd(
    x: Array,
    weight: Array | None,
    bias: Array | None,
    y: Array,
    stats: Array,
    running_mean: Array | None,
    running_var: Array | None,
    batches: Array | None,
    training: int,
    relu: int,
    momentum: float,
    eps: float,
) -> None:
    """Normalise each channel; see the reference."""
    if not x.size:
        stats[...] = 0
        return
    if training and batches is not None:
        batches += 1
    rows = _rows(x)
    if training:
        _moments(rows, stats)
        if running_mean is not None and running_var is not None:
            if momentum < 0:
                momentum = 1 / float(batches) if batches is not None else 0.0
            unbiased = stats[1] * (len(rows) / max(len(rows) - 1, 1))
            running_mean[...] = (1 - momentum) * running_mean + momentum * stats[0]
            running_var[...] = (1 - momentum) * running_var + momentum * unbiased
    else:
        stats[0], stats[1] = running_mean, running_var
    stats[1] = 1 / np.sqrt(stats[1] + eps)
    out = np.empty_like(rows)
    _apply(rows, stats, _or_constant(weight, rows, 1), _or_constant(bias, rows, 0), out)
    _put(np.maximum(out, 0) if relu else out, y)


def batch_norm_bwd(
    g: Array,
    x: Array,
    weight: Array | None,
    bias: Array | None,
    stats: Array,
    dx: Array | None,
    dweight: Array | None,
    dbias: Array | None,
    training: int,
    relu: int,
) -> None:
    """The gradients of batch_norm_fwd; bias: read with `relu` alone."""
    rows, slopes = _rows(x), _rows(g)
    if relu:
        before = np.empty_like(rows)
        factors, offsets = _or_constant(weight, rows, 1), _or_constant(bias, rows, 0)
        _apply(rows, stats, factors, offsets, before)
        slopes = np.where(before <= 0, rows.dtype.type(0), slopes)
    sums = np.zeros((2, rows.shape[1]))
    _sums(slopes, rows, stats, sums)
    if dweight is not None:
        dweight[...] = sums[1]
    if dbias is not None:
        dbias[...] = sums[0]
    if dx is None or not x.size:
        return
    factors = _or_constant(weight, rows, 1)
    if not training:
        # nothing of x, which may be infinite
        _put(slopes * (stats[1] * factors).astype(rows.dtype), dx)
        return
    out = np.empty_like(rows)
    _gradient(slopes, rows, stats, sums / len(rows), factors, out)
    _put(out, dx)


@njit(cache=True, nogil=True, error_model="numpy")
def _moments(x: Array, stats: Array) -> None:
    """Mean and biased variance, by differences from the first row."""
    rows, channels = x.shape
    stats[:] = 0
    for i in range(rows):
        for j in range(channels):
            d = np.float64(x[i, j]) - np.float64(x[0, j])
            stats[0, j] += d
            stats[1, j] += d * d
    for j in range(channels):
        part = stats[0, j] / rows
        stats[1, j] = max((stats[1, j] - stats[0, j] * part) / rows, 0.0)
        stats[0, j] = x[0, j] + part


@njit(cache=True, nogil=True, error_model="numpy")
def _apply(x: Array, stats: Array, weight: Array, bias: Array, y: Array) -> None:
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = (x[i, j] - stats[0, j]) * (stats[1, j] * weight[j]) + bias[j]


@njit(cache=True, nogil=True, error_model="numpy")
def _sums(g: Array, x: Array, stats: Array, sums: Array) -> None:
    """Of each channel the sums of g and of g * xhat."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            sums[0, j] += g[i, j]
            sums[1, j] += g[i, j] * ((x[i, j] - stats[0, j]) * stats[1, j])


@njit(cache=True, nogil=True, error_model="numpy")
def _gradient(
    g: Array, x: Array, stats: Array, means: Array, weight: Array, dx: Array
) -> None:
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            xhat = (x[i, j] - stats[0, j]) * stats[1, j]
            centred = g[i, j] - means[0, j] - xhat * means[1, j]
            dx[i, j] = centred * (stats[1, j] * weight[j])
