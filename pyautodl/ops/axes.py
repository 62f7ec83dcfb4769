"""Axis arguments, checked once for every op."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any

from pyautodl.errors import ShapeError
from pyautodl.ops.integers import integer

__all__ = [
    "SMALL_INPUT",
    "broadcast_shapes",
    "normalize_axes",
    "normalize_axis",
    "reduced_shape",
    "resolve_shape",
]

_Shape = tuple[int, ...]

# what helps where a window is larger than what it slides over
SMALL_INPUT = "larger inputs, or fewer layers before it that shrink them"


def normalize_axis(name: str, dim: Any, ndim: int, shape: Any = None) -> int:
    """`dim` as an axis from 0; a scalar has the axes 0 and -1, as in PyTorch.

    Raises:
        IndexError: there is no such axis.
        TypeError: `dim` is no integer.
    """
    if type(dim) is int and 0 <= dim < ndim:
        return dim
    axis = integer(name, "dim", dim)
    limit = max(ndim, 1)
    if not -limit <= axis < limit:
        of = "" if shape is None else f" (shape {tuple(shape)})"
        raise IndexError(
            f"{name}: dim must be from {-limit} to {limit - 1}, got {axis}{of}"
        )
    return axis % limit


def normalize_axes(name: str, dim: Any, shape: Iterable[int]) -> _Shape:
    """`dim` (None, an int or several) as sorted axes from 0; None and () mean all.

    Raises:
        IndexError: there is no such axis.
        ValueError: an axis is named twice.
    """
    shape = tuple(shape)
    if dim is None or (not isinstance(dim, int) and _is_empty(dim)):
        return tuple(range(len(shape)))
    dims = dim if isinstance(dim, (tuple, list)) else (dim,)
    axes = sorted(normalize_axis(name, each, len(shape), shape) for each in dims)
    if len(set(axes)) != len(axes):
        raise ValueError(f"{name}: dim names an axis twice: {tuple(dims)}")
    return tuple(axes) if shape else ()


def _is_empty(dim: Any) -> bool:
    return isinstance(dim, (tuple, list)) and not dim


def reduced_shape(shape: _Shape, axes: _Shape, keepdim: bool) -> _Shape:
    """The shape after `axes` are reduced."""
    if keepdim:
        return tuple(1 if i in axes else size for i, size in enumerate(shape))
    return tuple(size for i, size in enumerate(shape) if i not in axes)


def resolve_shape(name: str, old: _Shape, new: _Shape) -> _Shape:
    """`new` with its one -1 replaced by what is left of the elements of `old`.

    Raises:
        ShapeError: the sizes do not have as many elements.
    """
    if -1 in new:
        known = prod(size for size in new if size != -1)
        if list(new).count(-1) > 1 or known == 0 or prod(old) % known:
            raise ShapeError(f"{name}: can't make shape {new} of shape {old}")
        new = tuple(prod(old) // known if size == -1 else size for size in new)
    if min(new, default=0) < 0 or prod(new) != prod(old):
        raise ShapeError(
            f"{name}: expected a shape of {prod(old)} elements, got {new} "
            f"(input shape {old})"
        )
    return new


def broadcast_shapes(*shapes: _Shape) -> _Shape:
    """Return the common shape to which all broadcast.

    Raises:
        ShapeError: they do not.

    Example:
        >>> import pyautodl as ad
        >>> ad.broadcast_shapes((2, 1), (3,))
        (2, 3)
    """
    ndim = max((len(shape) for shape in shapes), default=0)
    result = [1] * ndim
    for shape in shapes:
        for i, size in enumerate(shape, ndim - len(shape)):
            if size != 1 and result[i] not in (1, size):
                raise ShapeError(
                    f"broadcast: shapes do not fit: {', '.join(map(str, shapes))}"
                )
            if size != 1:
                result[i] = size
    return tuple(result)
