"""What masks choose."""

from __future__ import annotations

from typing import Any

from pyautodl.backends.dtypes import bool_
from pyautodl.errors import ShapeError
from pyautodl.functional.index.arguments import as_mask, as_value, expanded
from pyautodl.functional.views import broadcast_shapes
from pyautodl.ops.copy import CAST
from pyautodl.ops.index import MASKED_SCATTER, MASKED_SELECT, NONZERO
from pyautodl.ops.views import RESHAPE, SLICE
from pyautodl.tensor import Tensor, apply, call, explained, method

__all__ = ["argwhere", "masked_fill", "masked_scatter", "masked_select", "nonzero"]


@method(inplace=True)
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """Fill with a number where the mask is set.

    Args:
        input: a tensor.
        mask: bool; it broadcasts to the input.
        value: a number or a tensor without axes.

    Example:
        >>> import pyautodl as ad
        >>> ad.masked_fill(ad.zeros(3), ad.tensor([True, False, True]), 7)
        tensor([7., 0., 7.])
    """
    number = as_value(value, input, "masked_fill")
    if number.ndim:
        raise ShapeError(
            f"masked_fill: expected one value, got shape {tuple(number.shape)}"
        )
    return call(
        "where", as_mask("masked_fill", mask, input._array.shape), number, input
    )


@method
@explained
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """Return the elements where the mask is set, as a line.

    Args:
        input: a tensor.
        mask: bool; it broadcasts with the input.

    Example:
        >>> import pyautodl as ad
        >>> ad.masked_select(ad.tensor([1, 2, 3]), ad.tensor([True, False, True]))
        tensor([1, 3])
    """
    shape = broadcast_shapes(tuple(input.shape), tuple(mask.shape))
    chosen = as_mask("masked_select", mask, shape)
    return apply(MASKED_SELECT, expanded(input, shape), chosen)


@method(inplace=True)
@explained
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """Write the elements of `source`, one after the other, where the mask is set.

    Args:
        input: the tensor that is copied first.
        mask: bool; it broadcasts to the input.
        source: at least as many elements as the mask sets.

    Raises:
        ShapeError: there are too few.

    Example:
        >>> import pyautodl as ad
        >>> mask = ad.tensor([True, False, True])
        >>> ad.masked_scatter(ad.zeros(3), mask, ad.tensor([1.0, 2.0]))
        tensor([1., 0., 2.])
    """
    chosen = as_mask("masked_scatter", mask, input._array.shape)
    return apply(MASKED_SCATTER, input, chosen, source)


@method
@explained
def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """Return the indices of the elements that are not 0.

    Args:
        input: a tensor.
        as_tuple: return a line of indices for each axis, as x[...] takes them.

    Shape:
        (count, axes)

    Example:
        >>> import pyautodl as ad
        >>> ad.nonzero(ad.tensor([[1, 0], [0, 2]]))
        tensor([[0, 0],
                [1, 1]])
    """
    mask = input if input.dtype is bool_ else apply(CAST, input, dtype=bool_)
    if not as_tuple:
        return apply(NONZERO, mask)
    if not mask.ndim:
        mask = apply(RESHAPE, mask, shape=(1,))
    places = apply(NONZERO, mask)
    return tuple(_column(places, i) for i in range(mask.ndim))


def _column(x: Tensor, i: int) -> Tensor:
    n = x._array.shape[0]
    return apply(SLICE, x, starts=(0, i), sizes=(n, 1), steps=(1, 1), drop=(1,))


@method
@explained
def argwhere(input: Tensor) -> Tensor:
    """Return the indices of the elements that are not 0, as `nonzero`.

    Example:
        >>> import pyautodl as ad
        >>> ad.argwhere(ad.tensor([0, 5]))
        tensor([[1]])
    """
    return nonzero(input)
