"""numba twins of the reduction kernels that other families call, too."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

__all__ = ["sum"]

NDArray = np.ndarray[Any, Any]

_jit = njit(cache=True, nogil=True, error_model="numpy")


@_jit
def _sums(rows, zero, found):  # type: ignore[no-untyped-def]
    for i in range(rows.shape[0]):
        total = zero
        for j in range(rows.shape[1]):
            total += rows[i, j]
        found[i] = total


def sum(x: NDArray, out: NDArray, divisor: float) -> None:
    """Sum over the axes that differ, in the widest type; of floats divided by `divisor`."""
    reduced = [i for i in range(x.ndim) if x.shape[i] != out.shape[i]]
    kept = [i for i in range(x.ndim) if i not in reduced]
    rows = x.transpose(kept + reduced).reshape(out.size, -1 if out.size else 0)
    floats = x.dtype.kind == "f"
    zero = np.float64(0) if floats else np.int64(0)
    found = np.empty(out.size, zero.dtype)
    _sums(np.ascontiguousarray(rows), zero, found)
    out[...] = (found / divisor if floats else found).reshape(out.shape)
