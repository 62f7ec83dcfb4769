"""Whole parts along an axis."""

from __future__ import annotations

from typing import Any

from pyautodl.errors import DTypeError, ShapeError
from pyautodl.functional.index.arguments import as_index, as_line, as_value, expanded
from pyautodl.functional.views import flatten
from pyautodl.ops.axes import normalize_axis
from pyautodl.ops.index import (
    INDEX_ADD,
    INDEX_COPY,
    INDEX_ROWS,
    INDEX_SELECT,
    RAVEL_INDEX,
)
from pyautodl.ops.integers import integer
from pyautodl.ops.views import RESHAPE
from pyautodl.tensor import Tensor, apply, call, explained, method

__all__ = ["index_add", "index_copy", "index_fill", "index_select", "put", "take"]


@method
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """Take whole parts along an axis.

    Args:
        input: a tensor.
        dim: the axis.
        index: a line of integers.

    Raises:
        IndexError: an index is negative or too large.

    Example:
        >>> import pyautodl as ad
        >>> ad.index_select(ad.tensor([[1, 2], [3, 4]]), 0, ad.tensor([1, 1]))
        tensor([[3, 4],
                [3, 4]])
    """
    dim = integer("index_select", "dim", dim)
    return apply(INDEX_SELECT, input, as_line("index_select", index), dim=dim)


@method(inplace=True)
@explained
def index_add(
    input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1
) -> Tensor:
    """Add whole parts along an axis, in the order of their indices.

    Args:
        input: the tensor that is copied first.
        dim: the axis.
        index: a line of integers.
        source: what is added; its size along the axis is that of `index`.
        alpha: a factor for `source`.

    Raises:
        IndexError: an index is negative or too large.

    Example:
        >>> import pyautodl as ad
        >>> ad.index_add(ad.zeros(2), 0, ad.tensor([1, 1]), ad.tensor([5.0, 6.0]))
        tensor([ 0., 11.])
    """
    terms = source if alpha == 1 else call("mul", source, alpha)
    return apply(INDEX_ADD, input, as_line("index_add", index), terms, dim=dim)


@method(inplace=True)
@explained
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """Write whole parts along an axis; later ones win.

    Args:
        input: the tensor that is copied first.
        dim: the axis.
        index: a line of integers.
        source: what is written; its size along the axis is that of `index`.

    Example:
        >>> import pyautodl as ad
        >>> ad.index_copy(ad.zeros(2), 0, ad.tensor([1]), ad.tensor([5.0]))
        tensor([0., 5.])
    """
    return apply(INDEX_COPY, input, as_line("index_copy", index), source, dim=dim)


@method(inplace=True)
@explained
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """Fill whole parts along an axis with a number.

    Args:
        input: the tensor that is copied first.
        dim: the axis.
        index: a line of integers.
        value: a number, or a tensor without axes.

    Example:
        >>> import pyautodl as ad
        >>> ad.index_fill(ad.zeros(3), 0, ad.tensor([0, 2]), 7)
        tensor([7., 0., 7.])
    """
    line = as_line("index_fill", index)
    axis = normalize_axis("index_fill", dim, input.ndim, input.shape)
    shape = (*input.shape[:axis], line.numel(), *input.shape[axis + 1 :])
    source = expanded(as_value(value, input, "index_fill"), shape)
    return apply(INDEX_COPY, input, line, source, dim=axis)


@method
@explained
def take(input: Tensor, index: Tensor) -> Tensor:
    """Take elements of the flattened tensor; negative indices count from the end.

    Args:
        input: a tensor.
        index: integers of any shape, which the result gets.

    Example:
        >>> import pyautodl as ad
        >>> ad.take(ad.tensor([[1, 2], [3, 4]]), ad.tensor([0, -1]))
        tensor([1, 4])
    """
    return apply(INDEX_ROWS, flatten(input), as_index("take", index))


@method(inplace=True)
@explained
def put(
    input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False
) -> Tensor:
    """Write elements at places of the flattened tensor; later ones win.

    Args:
        input: the tensor that is copied first.
        index: integers of any shape; negative ones count from the end.
        source: as many elements.
        accumulate: add to what stands there, also several times to one place.

    Raises:
        DTypeError: input and source are of two types.
        IndexError: an index is out of range.
        ShapeError: there are more or fewer elements than indices.

    Example:
        >>> import pyautodl as ad
        >>> x = ad.zeros(2, 2)
        >>> ad.put(x, ad.tensor([0, 3, 3]), ad.tensor([1.0, 2.0, 3.0]), accumulate=True)
        tensor([[1., 0.],
                [0., 5.]])
    """
    places, values = flatten(as_index("put", index)), flatten(source)
    if values.dtype != input.dtype:
        raise DTypeError(
            f"put: expected a source of {input.dtype.name}, got {values.dtype.name}"
        )
    if len(places) != len(values):
        raise ShapeError(
            f"put: expected as many elements as indices, got {len(values)} and "
            f"{len(places)}"
        )
    flat = apply(RAVEL_INDEX, places, sizes=(input.numel(),))
    op = INDEX_ADD if accumulate else INDEX_COPY
    written = apply(op, flatten(input), flat, values, dim=0)
    return apply(RESHAPE, written, shape=tuple(input.shape))
