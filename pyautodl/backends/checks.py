"""Errors that kernels raise, worded once for every backend."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["check_indices", "index_error"]


def index_error(position: int, value: int, limit: int) -> IndexError:
    """The error for an index outside [0, limit)."""
    return IndexError(
        f"index {value} at position {position} is out of range: "
        f"expected 0 <= index < {limit}"
    )


def check_indices(indices: np.ndarray[Any, Any], limit: int) -> None:
    """Raise `index_error` for the first index outside [0, limit), in C order."""
    flat = indices.reshape(-1)
    bad = np.flatnonzero((flat < 0) | (flat >= limit))
    if bad.size:
        position = int(bad[0])
        raise index_error(position, int(flat[position]), limit)
