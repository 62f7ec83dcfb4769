"""What the kernels that put lines in order mean, in NumPy."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from pyautodl.backends.codes import KTH_MIDDLE_NUMBER, KTH_OR_NAN

__all__ = ["isin_sorted", "kthvalue", "searchsorted", "topk"]

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
    places = np.full_like(indices, k)
    if nan == KTH_MIDDLE_NUMBER:
        places = np.maximum((x == x).sum(axis, keepdims=True) - 1, 0) // 2
    best = np.take_along_axis(
        np.take_along_axis(x, _order(x, axis, 0), axis), places, axis
    )
    if nan == KTH_OR_NAN and x.dtype.kind == "f":
        best = np.where(np.isnan(x).any(axis, keepdims=True), np.nan, best)
    same = (x == best) | ((x != x) & (best != best))
    indices[...] = same.argmax(axis, keepdims=True)
    values[...] = best


def searchsorted(lines: _Array, values: _Array, out: _Array, right: int) -> None:
    """How many elements of a line come before each value, or with `right` equal it."""
    side: Literal["left", "right"] = "right" if right else "left"
    if lines.ndim == 1:
        out[...] = np.searchsorted(lines, values, side)
        return
    for row in np.ndindex(lines.shape[:-1]):
        out[row] = np.searchsorted(lines[row], values[row], side)


def isin_sorted(lines: _Array, values: _Array, out: _Array, invert: int) -> None:
    """Whether each value is in the line, or with `invert` is not."""
    out[...] = np.isin(values, lines, invert=bool(invert))
