"""What the kernels of copies and casts mean, in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["cast", "cat", "copy", "tri"]

_Array = np.ndarray[Any, Any]


def copy(x: _Array, out: _Array) -> None:
    """Copy, whatever the strides of either side."""
    out[...] = x


def cast(x: _Array, out: _Array) -> None:
    """Convert; floats are cut towards zero, what fits no int64 becomes the lowest."""
    if out.dtype == np.bool_:
        out[...] = x != 0
    elif x.dtype.kind == "f" and out.dtype.kind in "iu":
        fits = (x >= -(2.0**63)) & (x < 2.0**63)
        whole = np.where(fits, x, 0).astype(np.int64)
        out[...] = np.where(fits, whole, np.iinfo(np.int64).min).astype(out.dtype)
    else:
        out[...] = x.astype(out.dtype)


def cat(xs: list[_Array], out: _Array, axis: int) -> None:
    """Put arrays one after the other along an axis."""
    np.concatenate(xs, axis, out=out)


def tri(x: _Array, out: _Array, diagonal: int, upper: int) -> None:
    """Keep the lower or upper triangle of each matrix."""
    out[...] = np.triu(x, diagonal) if upper else np.tril(x, diagonal)
