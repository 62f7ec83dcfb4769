"""What the kernels of reductions mean, in NumPy.

`out` has the axes of `x`, of size 1 where `x` is reduced.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["sum"]

_Array = np.ndarray[Any, Any]


def _reduced(x: _Array, out: _Array) -> tuple[int, ...]:
    return tuple(i for i in range(x.ndim) if x.shape[i] != out.shape[i])


def sum(x: _Array, out: _Array, divisor: float) -> None:
    """Sum over the reduced axes, divided by `divisor` for floats."""
    if out.dtype.kind == "f":
        total = x.sum(_reduced(x, out), dtype=np.float64, keepdims=True)
        out[...] = total / divisor
    else:
        out[...] = x.sum(_reduced(x, out), dtype=np.int64, keepdims=True)
