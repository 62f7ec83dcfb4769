"""NumPy meaning of the product of a sparse matrix and a dense one."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyautodl.backends.checks import check_indices

__all__ = ["spmm"]

_Array = np.ndarray[Any, Any]


def spmm(values: _Array, rows: _Array, columns: _Array, x: _Array, y: _Array) -> None:
    """y[rows[i]] += values[i] x[columns[i]] for i in order, from zero on."""
    check_indices(rows, y.shape[0])
    check_indices(columns, x.shape[0])
    y[...] = 0
    np.add.at(y, rows, values[:, None] * x[columns])
