"""Index pairs, products of sets, and matrices put together along the diagonal."""

from __future__ import annotations

from itertools import chain, combinations_with_replacement
from itertools import combinations as choices
from math import comb
from typing import Any

import numpy as np

from pyautodl.backends.dtypes import bool_, int64
from pyautodl.errors import ShapeError
from pyautodl.functional.copy import cat, meshgrid, pad, stack
from pyautodl.functional.creation import empty, eye
from pyautodl.functional.views import atleast_2d, diag, diagonal, flatten
from pyautodl.ops.integers import integer
from pyautodl.tensor import Tensor, explained, method

__all__ = [
    "block_diag",
    "cartesian_prod",
    "combinations",
    "diagflat",
    "trace",
    "tril_indices",
    "triu_indices",
]


@method
@explained
def trace(input: Tensor) -> Tensor:
    """Return the sum of a matrix's diagonal.

    Raises:
        ShapeError: the input is no matrix.

    Example:
        >>> import pyautodl as ad
        >>> ad.trace(ad.tensor([[1, 2], [3, 4]]))
        tensor(5)
    """
    if input.ndim != 2:
        raise ShapeError(f"trace: expected a matrix, got shape {tuple(input.shape)}")
    return diagonal(input).sum()


@method
@explained
def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """Make a matrix with all elements of the input on a diagonal.

    Args:
        input: a tensor; its order is that of memory.
        offset: how far above the main diagonal; below, if negative.

    Example:
        >>> import pyautodl as ad
        >>> ad.diagflat(ad.tensor([1, 2]))
        tensor([[1, 0],
                [0, 2]])
    """
    return diag(flatten(input), offset)


@method
@explained
def fill_diagonal_(self: Tensor, fill_value: float, wrap: bool = False) -> Tensor:
    """Set the main diagonal of a matrix, in place.

    Args:
        self: a matrix.
        fill_value: a number.
        wrap: not supported.

    Raises:
        ShapeError: the tensor is no matrix.
        GradError: the tensor is a leaf that requires a gradient.

    Example:
        >>> import pyautodl as ad
        >>> ad.zeros(2, 3).fill_diagonal_(5)
        tensor([[5., 0., 0.],
                [0., 5., 0.]])
    """
    if wrap:
        raise NotImplementedError("fill_diagonal_: wrap is not supported")
    if self.ndim != 2:
        raise ShapeError(
            f"fill_diagonal_: expected a matrix, got shape {tuple(self.shape)}"
        )
    return self.masked_fill_(eye(*self.shape, dtype=bool_), fill_value)


def _indices(name: str, row: int, col: int, offset: int, dtype: Any) -> Tensor:
    """Of the lower or the upper triangle: row by row, so that nothing is looked at."""
    rows, columns, above = (
        integer(name, what, value)
        for what, value in (("row", row), ("col", col), ("offset", offset))
    )
    if rows < 0 or columns < 0:
        raise ValueError(f"{name}: sizes must not be negative, got ({rows}, {columns})")
    upper = name == "triu_indices"
    begin = above if upper else above + 1
    # where each row's part begins, or behind which column it ends
    edges = np.minimum(np.maximum(np.arange(begin, begin + rows), 0), columns)
    counts = columns - edges if upper else edges
    ends = counts.cumsum()
    total = int(ends[-1]) if rows else 0
    out = empty(2, total, dtype=int64 if dtype is None else dtype)
    places = out.numpy()
    places[0] = np.arange(rows).repeat(counts)
    # the number of an element of the triangle, and from there to its column
    numbers = np.arange(total)
    numbers += (columns - ends if upper else counts - ends).repeat(counts)
    places[1] = numbers
    return out


@explained
def tril_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None
) -> Tensor:
    """Return rows and columns of the lower triangle of a matrix.

    Args:
        row, col: the shape of the matrix.
        offset: how far above the main diagonal it ends; below, if negative.
        dtype: of the indices; default int64.
        device: 'cpu' or None.

    Shape:
        (2, count)

    Example:
        >>> import pyautodl as ad
        >>> ad.tril_indices(2, 2)
        tensor([[0, 1, 1],
                [0, 0, 1]])
    """
    return _indices("tril_indices", row, col, offset, dtype)


@explained
def triu_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None
) -> Tensor:
    """Return rows and columns of the upper triangle of a matrix.

    Args:
        row, col: the shape of the matrix.
        offset: how far above the main diagonal it begins; below, if negative.
        dtype: of the indices; default int64.
        device: 'cpu' or None.

    Shape:
        (2, count)

    Example:
        >>> import pyautodl as ad
        >>> ad.triu_indices(2, 2, offset=1)
        tensor([[0],
                [1]])
    """
    return _indices("triu_indices", row, col, offset, dtype)


@explained
def cartesian_prod(*tensors: Tensor) -> Tensor:
    """Return all ways to take one element of each line.

    Args:
        tensors: with one axis.

    Shape:
        (n), (m) -> (n m, 2); one line alone stays a line.

    Example:
        >>> import pyautodl as ad
        >>> ad.cartesian_prod(ad.tensor([1, 2]), ad.tensor([3, 4])).tolist()
        [[1, 3], [1, 4], [2, 3], [2, 4]]
    """
    if len(tensors) == 1:
        return tensors[0]
    return stack([flatten(each) for each in meshgrid(*tensors)], dim=1)


@explained
def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """Return all choices of r elements of a line, in their order.

    Args:
        input: a tensor with one axis.
        r: how many are chosen.
        with_replacement: whether an element may be chosen again.

    Raises:
        ShapeError: the input has other than one axis.
        ValueError: r is negative.
        MemoryError: there are more than the memory holds.

    Example:
        >>> import pyautodl as ad
        >>> ad.combinations(ad.tensor([1, 2, 3])).tolist()
        [[1, 2], [1, 3], [2, 3]]
    """
    if input.ndim != 1:
        raise ShapeError(f"combinations: expected a line, got {tuple(input.shape)}")
    r = integer("combinations", "r", r)
    if r < 0:
        raise ValueError(f"combinations: r must not be negative, got {r}")
    n = len(input)
    make: Any = choices
    count = comb(n, r)
    if with_replacement:
        make = combinations_with_replacement
        count = comb(n + r - 1, r) if n else int(not r)
    # memory that is not there is refused before anything is counted up
    found = empty(count, r, dtype=int64)
    if r == 2:
        pairs = triu_indices(n, n, int(not with_replacement))
        found.numpy()[...] = pairs.numpy().T
    else:
        places = chain.from_iterable(make(range(n), r))
        found.numpy()[...] = np.fromiter(places, np.int64, count * r).reshape(count, r)
    return input[found.reshape(-1)].reshape(count, r)


@explained
def block_diag(*tensors: Tensor) -> Tensor:
    """Put matrices one after the other along the diagonal, with zeros beside them.

    Args:
        tensors: matrices; a line is a row, a number one element.

    Example:
        >>> import pyautodl as ad
        >>> ad.block_diag(ad.tensor([[1, 2]]), ad.tensor([[3]]))
        tensor([[1, 2, 0],
                [0, 0, 3]])
    """
    blocks = [atleast_2d(each) for each in tensors]
    width = sum(each.shape[1] for each in blocks)
    rows = []
    before = 0
    for each in blocks:
        after = width - before - each.shape[1]
        rows.append(pad(each, (before, after)))
        before += each.shape[1]
    return cat(rows)
