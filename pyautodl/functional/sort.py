"""Functions that put elements in order."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyautodl.backends.dtypes import as_dtype, int32
from pyautodl.errors import ShapeError, describe
from pyautodl.functional.creation import tensor
from pyautodl.functional.numpy_names import by_numpy_names
from pyautodl.functional.reduce import ValuesIndices
from pyautodl.functional.views import flatten
from pyautodl.ops.axes import normalize_axis
from pyautodl.ops.copy import CAST
from pyautodl.ops.integers import integer
from pyautodl.ops.sort import KTHVALUE, SEARCHSORTED, TOPK
from pyautodl.tensor import Tensor, apply, explained, method

__all__ = [
    "argsort",
    "kthvalue",
    "median",
    "searchsorted",
    "sort",
    "topk",
]


@method
@explained
def sort(
    input: Tensor,
    dim: int = -1,
    descending: bool = False,
    stable: bool = False,
    **_numpy: Any,
) -> ValuesIndices:
    """Put the elements along an axis in order; equal ones keep theirs.

    NaN counts as larger than any number.

    Args:
        input: a tensor.
        dim: the axis.
        descending: the largest first.
        stable: has no meaning here: it always is.

    Returns:
        (values, indices)

    Example:
        >>> import pyautodl as ad
        >>> ad.sort(ad.tensor([3, 1, 2])).indices
        tensor([1, 2, 0])
    """
    if _numpy:
        return by_numpy_names(sort, locals())
    return ValuesIndices(*apply(TOPK, input, dim=dim, descending=descending))


@method
@explained
def argsort(
    input: Tensor,
    dim: int = -1,
    descending: bool = False,
    stable: bool = False,
    **_numpy: Any,
) -> Tensor:
    """Return the indices that put the elements along an axis in order.

    Args:
        input: a tensor.
        dim: the axis.
        descending: the largest first.
        stable: taken for PyTorch's sake; equal elements always keep their order.

    Example:
        >>> import pyautodl as ad
        >>> ad.argsort(ad.tensor([3, 1, 2]))
        tensor([1, 2, 0])
    """
    if _numpy:
        return by_numpy_names(argsort, locals())
    return sort(input, dim, descending).indices


@method
@explained
def topk(
    input: Tensor,
    k: int,
    dim: int = -1,
    largest: bool = True,
    sorted: bool = True,
    **_numpy: Any,
) -> ValuesIndices:
    """Return the k largest (or smallest) elements along an axis, in order.

    Of equal elements the first come first.

    Args:
        input: a tensor.
        k: how many.
        dim: the axis.
        largest: the largest or the smallest.
        sorted: has no meaning here: they always are.

    Returns:
        (values, indices)

    Raises:
        ShapeError: the axis has fewer than k elements.

    Example:
        >>> import pyautodl as ad
        >>> ad.topk(ad.tensor([3, 1, 2]), 2).values
        tensor([3, 2])
    """
    if _numpy:
        return by_numpy_names(topk, locals())
    count = integer("topk", "k", k)
    return ValuesIndices(*apply(TOPK, input, k=count, dim=dim, descending=largest))


@method
@explained
def kthvalue(
    input: Tensor, k: int, dim: int = -1, keepdim: bool = False, **_numpy: Any
) -> ValuesIndices:
    """Return the k-th smallest element along an axis, counted from 1.

    Args:
        input: a tensor.
        k: which.
        dim: the axis.
        keepdim: keep the axis with size 1.

    Returns:
        (values, indices): the first index that has the value.

    Raises:
        ShapeError: the axis has fewer than k elements.

    Example:
        >>> import pyautodl as ad
        >>> ad.kthvalue(ad.tensor([3, 1, 2]), 2).values
        tensor(2)
    """
    if _numpy:
        return by_numpy_names(kthvalue, locals())
    return ValuesIndices(*apply(KTHVALUE, input, k=k, dim=dim, keepdim=keepdim))


@method
@explained
def median(
    input: Tensor, dim: int | None = None, keepdim: bool = False, **_numpy: Any
) -> Any:
    """Return the middle element in order, the lower one of two; NaN if there is one.

    Args:
        input: a tensor.
        dim: an axis, along which values and first indices are returned; None: one
            value of all elements.
        keepdim: keep the axis with size 1.

    Raises:
        ShapeError: there are no elements.

    Example:
        >>> import pyautodl as ad
        >>> ad.median(ad.tensor([4.0, 1.0, 3.0, 2.0]))
        tensor(2.)
    """
    if _numpy:
        return by_numpy_names(median, locals())
    x = flatten(input) if dim is None else input
    axis = normalize_axis("median", 0 if dim is None else dim, x.ndim, x.shape)
    n = x.shape[axis] if x.ndim else 1
    if not n:
        raise ShapeError(f"median: shape {tuple(input.shape)} has no elements")
    found = apply(KTHVALUE, x, k=(n + 1) // 2, dim=axis, keepdim=keepdim, nan="result")
    return found[0] if dim is None else ValuesIndices(*found)


@explained
def searchsorted(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """Return where values would go in a line that is in order, or in each of several.

    Args:
        sorted_sequence: a line in order, or lines along the last axis; NaN is last.
        input: a tensor or a number; of several lines a tensor whose axes but for the last
            are theirs.
        out_int32: return int32 instead of int64.
        right: behind equal elements rather than before them.
        side: 'left' or 'right', instead of `right`.
        sorter: what brings the sequence in order, as `argsort` gives it.

    Raises:
        IndexError: an index of the sorter is out of range.
        ShapeError: the shapes do not fit.
        ValueError: the side is unknown, or is 'left' and `right` is set.

    Example:
        >>> import pyautodl as ad
        >>> ad.searchsorted(ad.tensor([1, 3, 5]), ad.tensor([3, 4]))
        tensor([1, 2])
    """
    if side not in (None, "left", "right") or (side == "left" and right):
        raise ValueError(
            "searchsorted: side must be 'left' or 'right', 'right' where right=True, got "
            f"{describe(side)}"
        )
    values = input if isinstance(input, Tensor) else tensor(input)
    lines = sorted_sequence.detach()
    shape = lines.shape
    if sorter is not None:
        if sorter.shape != shape:
            raise ShapeError(
                f"searchsorted: expected a sorter of shape {tuple(shape)}, as the "
                f"sequence's, got {tuple(sorter.shape)}"
            )
        lines = lines.gather(-1, sorter)
    lines, values = in_one_type(lines, values.detach())
    places = apply(SEARCHSORTED, lines, values, flag=right or side == "right")
    return apply(CAST, places, dtype=int32) if out_int32 else places


def in_one_type(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Both tensors in the element type that NumPy finds for them."""
    if x.dtype == y.dtype:
        return x, y
    dtype = as_dtype(np.result_type(x.dtype.numpy, y.dtype.numpy))
    return apply(CAST, x, dtype=dtype), apply(CAST, y, dtype=dtype)
