"""What the kernels that put lines in order mean, in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["kthvalue", "topk"]

_Array = np.ndarray[Any, Any]


def _order(x: _Array, axis: int, descending: int) -> _Array:
    """A stable order along the axis; NaN is larger than any number."""
    if not descending:
        return x.argsort(axis, kind="stable")
    # from behind, so that equal keys keep their order when it is turned round
    turned = np.flip(x, axis).argsort(axis, kind="stable")
    return np.flip(x.shape[axis] - 1 - turned, axis)


def topk(
    x: _Array, values: _Array, indices: _Array, axis: int, descending: int
) -> None:
    """The first elements of each line in order, and where they stand."""
    order = _order(x, axis, descending).take(np.arange(values.shape[axis]), axis)
    values[...] = np.take_along_axis(x, order, axis)
    indices[...] = order


def kthvalue(
    x: _Array, values: _Array, indices: _Array, axis: int, k: int, nan: int
) -> None:
    """The k-th smallest of each line and the first index that has it."""
    best = np.take_along_axis(x, _order(x, axis, 0), axis).take([k], axis)
    if nan and x.dtype.kind == "f":
        best = np.where(np.isnan(x).any(axis, keepdims=True), np.nan, best)
    same = (x == best) | ((x != x) & (best != best))
    indices[...] = same.argmax(axis, keepdims=True)
    values[...] = best
