"""NumPy meaning of the interpolation kernels."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from pyautodl.backends.codes import LINEAR, NEAREST_EXACT

__all__ = ["interpolate_bwd", "interpolate_fwd", "resample"]

NDArray = np.ndarray[Any, Any]


def _lift(a: NDArray) -> NDArray:
    """A view of (n, c, ...) with three spatial axes, absent ones in front."""
    return a[(slice(None), slice(None), *(None,) * (5 - a.ndim))]


def _nearest(size: int, outputs: int, mode: int, scale: float, dtype: Any) -> NDArray:
    """The input position of each output position."""
    o = np.arange(outputs)
    shift = dtype.type(0.5 if mode == NEAREST_EXACT else 0)
    positions = (o.astype(dtype) + shift) * dtype.type(scale)
    return np.minimum(positions.astype(np.float32).astype(np.int64), size - 1)


def _neighbours(
    size: int, outputs: int, mode: int, scale: float, dtype: Any
) -> list[tuple[NDArray, NDArray]]:
    """Input positions and weights of the neighbours of each output position."""
    if mode < LINEAR:
        nearest = _nearest(size, outputs, mode, scale, dtype)
        return [(nearest, np.ones(outputs, dtype))]
    if size == outputs:
        return [(np.arange(outputs), np.ones(outputs, dtype))]
    half = dtype.type(0.5 if mode == LINEAR else 0)
    o = np.arange(outputs).astype(dtype)
    positions = np.maximum((o + half) * dtype.type(scale) - half, 0)
    first = np.minimum(positions.astype(np.int64), size - 1)
    weight = np.where(first == size - 1, 0, positions - first).astype(dtype)
    return [(first, 1 - weight), (np.minimum(first + 1, size - 1), weight)]


def _terms(
    x: NDArray, y: NDArray, mode: int, scale: tuple[float, ...]
) -> Iterator[tuple[Any, NDArray]]:
    """For each combination of neighbours: an index into x, the weights (od, oh, ow)."""
    axes = [
        _neighbours(x.shape[2 + i], y.shape[2 + i], mode, scale[i], x.dtype)
        for i in range(3)
    ]
    for (d, wd), (h, wh), (w, ww) in product(*axes):
        index = (slice(None), slice(None), *np.ix_(d, h, w))
        yield index, wd[:, None, None] * wh[:, None] * ww


def interpolate_fwd(x: NDArray, y: NDArray, mode: int, *scale: float) -> None:
    """A weighted mean of the neighbours; those of weight 0 do not count."""
    x, y = _lift(x), _lift(y)
    total = np.zeros(y.shape, y.dtype)
    for index, weights in _terms(x, y, mode, scale):
        total += np.where(weights == 0, 0, x[index] * weights)
    y[...] = total


def interpolate_bwd(gy: NDArray, gx: NDArray, mode: int, *scale: float) -> None:
    """Each neighbour gets its part of the gradient."""
    gy, gx = _lift(gy), _lift(gx)
    total = np.zeros(gx.shape, gx.dtype)
    for index, weights in _terms(gx, gy, mode, scale):
        np.add.at(total, index, np.where(weights == 0, 0, gy * weights))
    gx[...] = total


def resample(x: NDArray, start: NDArray, weight: NDArray, y: NDArray) -> None:
    """Weighted sums along the middle axis; what has weight 0 does not count."""
    total = np.zeros(y.shape, y.dtype)
    for k in range(weight.shape[1]):
        factor = weight[:, k, None]
        total += np.where(factor == 0, 0, factor * x[:, start + k])
    y[...] = total
