"""What the ops of linear algebra share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from pyautodl.backends import Array
from pyautodl.backends.dtypes import FLOATING
from pyautodl.errors import DTypeError, LinAlgError, ShapeError
from pyautodl.ops.record import ErrorCase, Sample

__all__ = [
    "NDArray",
    "check_matrices",
    "columns",
    "computed",
    "diagonal_matrix",
    "identity",
    "normal",
    "not_square",
    "rows",
    "square_samples",
    "symmetric",
    "turned",
]

NDArray = np.ndarray[Any, Any]


# ---- forward ----


def check_matrices(name: str, x: Array, square: bool = False) -> None:
    """Raise unless x is matrices, or square ones, of floating numbers."""
    if x.dtype.category != FLOATING:
        raise DTypeError(
            f"{name}: expected a floating type, got {x.dtype.name}; likely fix: .float()"
        )
    if x.ndim < 2 or (square and x.shape[-1] != x.shape[-2]):
        raise ShapeError(
            f"{name}: expected {'square ' * square}matrices on the last two axes, got "
            f"shape {x.shape}"
        )


def computed(
    name: str,
    function: Callable[..., Any],
    reads: Sequence[Array],
    writes: Sequence[Array],
    failure: str,
    batch: tuple[int, ...],
) -> None:
    """Let a function of NumPy compute `writes`; `failure` is why it might not.

    Raises:
        LinAlgError: a matrix is none that the function works for; it is named.
    """
    values = [x.numpy() for x in reads]
    with np.errstate(all="ignore"):
        try:
            found = function(*values)
        except np.linalg.LinAlgError:
            _blame(name, function, values, failure, batch)
            raise
    for out, result in zip(writes, found if type(found) is tuple else (found,)):
        out.numpy()[...] = result


def _blame(
    name: str,
    function: Callable[..., Any],
    values: Sequence[NDArray],
    failure: str,
    batch: tuple[int, ...],
) -> None:
    """Raise the error of the first matrix that fails."""
    spread = [np.broadcast_to(x, (*batch, *x.shape[-2:])) for x in values]
    for index in np.ndindex(batch):
        matrices = [x[index] for x in spread]
        try:
            function(*matrices)
        except np.linalg.LinAlgError:
            place = index[0] if len(index) == 1 else index
            which = f"matrix {place} of the batch" if index else "the matrix"
            if not all(np.isfinite(each).all() for each in matrices):
                failure = "has elements that are nan or infinite"
            raise LinAlgError(
                f"{name}: {which} {failure} (shape {matrices[0].shape})"
            ) from None


# ---- backward ----


def turned(call: Any, x: Any) -> Any:
    """Matrices transposed."""
    ndim = len(x.shape)
    return call("permute", x, dims=(*range(ndim - 2), ndim - 1, ndim - 2))


def identity(call: Any, n: int, dtype: Any) -> Any:
    """The matrix that changes nothing."""
    ones = call("full", shape=(n, n), value=1.0, dtype=dtype)
    return call("tri", call("tri", ones), upper=True)


def rows(call: Any, x: Any) -> Any:
    """Vectors as matrices of one row."""
    return call("reshape", x, shape=(*x.shape[:-1], 1, x.shape[-1]))


def columns(call: Any, x: Any) -> Any:
    """Vectors as matrices of one column."""
    return call("reshape", x, shape=(*x.shape, 1))


def diagonal_matrix(call: Any, x: Any) -> Any:
    """Vectors as the diagonals of matrices."""
    return call("mul", rows(call, x), identity(call, x.shape[-1], x.dtype))


def symmetric(call: Any, x: Any) -> Any:
    """The mean of matrices and their transposes."""
    return call("mul", call("add", x, turned(call, x)), 0.5)


# ---- samples ----


def normal(*shape: int) -> NDArray:
    """Numbers for samples."""
    return np.random.default_rng(sum(shape)).standard_normal(shape)


def square_samples() -> Iterator[Sample]:
    """Square matrices, some of them none at all."""
    yield Sample((normal(3, 3),))
    yield Sample((normal(2, 2, 4, 4),), tolerance=10.0)
    yield Sample((normal(2, 1, 1),))
    yield Sample((np.zeros((2, 0, 0)),))
    yield Sample((np.zeros((0, 3, 3)),))


def not_square(name: str) -> Iterator[ErrorCase]:
    """What an op of square matrices refuses."""
    match = rf"{name}: expected square matrices .*\(2, 3\)"
    yield ErrorCase((normal(2, 3),), {}, ShapeError, match)
    yield ErrorCase((normal(2),), {}, ShapeError, f"{name}: expected square matrices")
    integers = (np.arange(4).reshape(2, 2),)
    yield ErrorCase(integers, {}, DTypeError, rf"{name}: .*int64; .*\.float\(\)")
