"""What the ops of this folder share: checks, and errors that name the op."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pyautodl.backends import Array, run
from pyautodl.backends.dtypes import int64
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.record import ErrorCase
from pyautodl.ops.views import grid

__all__ = [
    "Ints",
    "NDArray",
    "check_index",
    "check_same",
    "index_errors",
    "named_error",
    "run_named",
]

Ints = tuple[int, ...]
NDArray = np.ndarray[Any, Any]


def check_index(name: str, index: Array, *, line: bool = False) -> None:
    """Raise for what are no indices, or no line of them."""
    if index.dtype is not int64:
        raise DTypeError(
            f"{name}: indices must be int64, got {index.dtype.name}; likely fix: .long()"
        )
    if line and index.ndim != 1:
        raise ShapeError(f"{name}: expected a line of indices, got shape {index.shape}")


def check_same(name: str, x: Array, src: Array) -> None:
    """Raise if the source has another element type than what it is written to."""
    if x.dtype is not src.dtype:
        raise DTypeError(f"{name}: x is {x.dtype.name}, the source {src.dtype.name}")


def run_named(name: str, kernel: str, reads: Any, writes: Any, ints: Ints) -> None:
    """Run a kernel; its error bears the op's name, whatever the backend."""
    try:
        run(kernel, reads, writes, ints)
    except IndexError as error:
        raise named_error(name, kernel, error) from None


def named_error(name: str, kernel: str, error: IndexError) -> IndexError:
    """A kernel's error with the op's name in the place of the kernel's."""
    return IndexError(f"{name}: {str(error).removeprefix(f'{kernel}: ')}")


def index_errors(name: str, *src: NDArray) -> Iterator[ErrorCase]:
    """Indices out of range, and what are no indices."""
    x = grid(3)
    for bad in (3, -1):
        match = f"{name}: index {bad} at position 1 .* 0 <= index < 3"
        yield ErrorCase((x, np.array([0, bad]), *src), {"dim": 0}, IndexError, match)
    match = f"{name}: indices must be int64, got float64"
    yield ErrorCase((x, np.array([0.0, 1.0]), *src), {"dim": 0}, DTypeError, match)
