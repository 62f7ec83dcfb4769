"""Running extrema and running sums of exponentials along an axis, made of other functions."""

from __future__ import annotations

from collections.abc import Callable

from pyautodl.functional.copy import cat
from pyautodl.functional.creation import arange
from pyautodl.functional.derived import logaddexp
from pyautodl.functional.eltwise import (
    ge,
    isnan,
    le,
    logical_or,
    maximum,
    minimum,
    where,
)
from pyautodl.functional.eltwise.unary import as_floating
from pyautodl.functional.index import gather
from pyautodl.functional.reduce import ValuesIndices
from pyautodl.ops.axes import normalize_axis
from pyautodl.tensor import Tensor, explained, method

__all__ = ["cummax", "cummin", "logcumsumexp"]

_Pair = Callable[[Tensor, Tensor], Tensor]


@method
@explained
def cummax(input: Tensor, dim: int) -> ValuesIndices:
    """Return the largest element so far along an axis; NaN from the first NaN on.

    Args:
        input: a tensor.
        dim: the axis.

    Returns:
        (values, indices), of equal elements the last one's index

    Example:
        >>> import pyautodl as ad
        >>> values, indices = ad.cummax(ad.tensor([1.0, 3.0, 2.0, 3.0]), 0)
        >>> values
        tensor([1., 3., 3., 3.])
        >>> indices
        tensor([0, 1, 1, 3])
    """
    return _extrema("cummax", input, dim, maximum, ge)


@method
@explained
def cummin(input: Tensor, dim: int) -> ValuesIndices:
    """Return the smallest element so far along an axis; NaN from the first NaN on.

    Args:
        input: a tensor.
        dim: the axis.

    Returns:
        (values, indices), of equal elements the last one's index

    Example:
        >>> import pyautodl as ad
        >>> ad.cummin(ad.tensor([2.0, 3.0, 1.0]), 0).values
        tensor([2., 2., 1.])
    """
    return _extrema("cummin", input, dim, minimum, le)


@method
@explained
def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """Return the logarithm of the running sums of exponentials, without overflow.

    Args:
        input: a tensor; integers become floats.
        dim: the axis.

    Example:
        >>> import pyautodl as ad
        >>> ad.logcumsumexp(ad.tensor([0.0, 0.0, 90.0]), 0)
        tensor([ 0.0000,  0.6931, 90.0000])
    """
    x = as_floating("logcumsumexp", input)
    return _running(x, normalize_axis("logcumsumexp", dim, x.ndim, x.shape), logaddexp)


def _extrema(name: str, x: Tensor, dim: int, best: _Pair, wins: _Pair) -> ValuesIndices:
    axis = normalize_axis(name, dim, x.ndim, x.shape)
    if not x.ndim:
        line = _extrema(name, x.reshape(1), 0, best, wins)
        return ValuesIndices(*[each.reshape(()) for each in line])
    values = x.detach()
    # where the extremum is an element's own: each NaN, and what is not behind one
    own = logical_or(wins(values, _running(values, axis, best)), isnan(values))
    shape = [-1 if i == axis else 1 for i in range(x.ndim)]
    places = where(own, arange(x.shape[axis]).reshape(shape), 0)
    indices = _running(places, axis, maximum)
    return ValuesIndices(gather(x, axis, indices), indices)


def _running(x: Tensor, axis: int, pair: _Pair) -> Tensor:
    """What `pair` makes of all elements so far, by pairs of runs of twice the length."""
    size, length = x.shape[axis] if x.ndim else 1, 1
    while length < size:
        rest = size - length
        joined = pair(x.narrow(axis, length, rest), x.narrow(axis, 0, rest))
        x = cat((x.narrow(axis, 0, length), joined), axis)
        length *= 2
    return x
