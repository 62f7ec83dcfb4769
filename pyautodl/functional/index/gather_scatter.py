"""Elements along an axis, at an index for each."""

from __future__ import annotations

from math import inf
from operator import gt
from typing import Any

import numpy as np

from pyautodl.backends.dtypes import FLOATING, DType, bool_
from pyautodl.errors import ShapeError, describe
from pyautodl.functional.creation import ones
from pyautodl.functional.index.arguments import as_index, as_value, expanded
from pyautodl.functional.numpy_names import by_numpy_names
from pyautodl.functional.views import broadcast_shapes, flatten
from pyautodl.ops.axes import normalize_axis
from pyautodl.ops.index import (
    GATHER,
    SCATTER,
    SCATTER_ADD,
    SCATTER_AMAX,
    SCATTER_AMIN,
    SCATTER_PROD,
)
from pyautodl.ops.views import SLICE
from pyautodl.tensor import Tensor, apply, call, explained, method

__all__ = ["gather", "scatter", "scatter_add", "scatter_reduce", "take_along_dim"]

_SCATTERS = {None: SCATTER, "add": SCATTER_ADD, "multiply": SCATTER_PROD}


def _least(dtype: DType) -> float:
    if dtype.category == FLOATING:
        return -inf
    return 0 if dtype is bool_ else np.iinfo(dtype.numpy).min


def _most(dtype: DType) -> float:
    if dtype.category == FLOATING:
        return inf
    return 1 if dtype is bool_ else np.iinfo(dtype.numpy).max


# reduce -> its op, and what changes nothing in it
_REDUCTIONS = {
    "sum": (SCATTER_ADD, lambda dtype: 0),
    "prod": (SCATTER_PROD, lambda dtype: 1),
    "mean": (SCATTER_ADD, lambda dtype: 0),
    "amax": (SCATTER_AMAX, _least),
    "amin": (SCATTER_AMIN, _most),
}


@method
def gather(
    input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False
) -> Tensor:
    """Take elements along an axis, at an index for each.

    Args:
        input: a tensor.
        dim: the axis.
        index: integers with as many axes as the input, elsewhere no larger.
        sparse_grad: not supported.

    Shape:
        that of `index`: out[i][j] = input[index[i][j]][j] for dim=0

    Raises:
        IndexError: an index is negative or too large.

    Example:
        >>> import pyautodl as ad
        >>> ad.gather(ad.tensor([[1, 2], [3, 4]]), 1, ad.tensor([[0], [1]]))
        tensor([[1],
                [4]])
    """
    if sparse_grad:
        raise NotImplementedError("gather: sparse_grad is not supported")
    return apply(GATHER, input, as_index("gather", index), dim=dim)


@method(inplace=True)
@explained
def scatter(
    input: Tensor,
    dim: int,
    index: Tensor,
    src: Any = None,
    *,
    value: Any = None,
    reduce: str | None = None,
) -> Tensor:
    """Write elements along an axis, at an index for each; later ones win.

    With `reduce`, too, it has gradients, which PyTorch refuses.

    Args:
        input: the tensor that is copied first.
        dim: the axis.
        index: integers with as many axes as the input.
        src: what is written: a tensor or a number.
        value: a number, instead of `src`.
        reduce: None; 'add' or 'multiply' to join what meets in one place.

    Raises:
        IndexError: an index is negative or too large.

    Example:
        >>> import pyautodl as ad
        >>> ad.scatter(ad.zeros(3), 0, ad.tensor([2, 0]), ad.tensor([5.0, 6.0]))
        tensor([6., 0., 5.])
    """
    if reduce not in _SCATTERS:
        raise ValueError(
            f"scatter: reduce must be None, 'add' or 'multiply', got {describe(reduce)}"
        )
    places = as_index("scatter", index)
    source = value if src is None else src
    if not isinstance(source, Tensor):
        source = expanded(as_value(source, input, "scatter"), places._array.shape)
    if reduce == "multiply":
        source = _part_at(source, places)
    return apply(_SCATTERS[reduce], input, places, source, dim=dim)


def _part_at(src: Tensor, index: Tensor) -> Tensor:
    """What an index reads of a source, which may be larger."""
    sizes, given = index._array.shape, src._array.shape
    if len(sizes) != len(given) or sizes == given or any(map(gt, sizes, given)):
        return src
    starts, steps = (0,) * len(sizes), (1,) * len(sizes)
    return apply(SLICE, src, starts=starts, sizes=sizes, steps=steps, drop=())


@method(inplace=True)
@explained
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """Add elements along an axis, at an index for each, in their order.

    Args:
        input: the tensor that is copied first.
        dim: the axis.
        index: integers with as many axes as the input.
        src: what is added.

    Raises:
        IndexError: an index is negative or too large.

    Example:
        >>> import pyautodl as ad
        >>> ad.scatter_add(ad.zeros(3), 0, ad.tensor([2, 2]), ad.tensor([5.0, 6.0]))
        tensor([ 0.,  0., 11.])
    """
    return apply(SCATTER_ADD, input, as_index("scatter_add", index), src, dim=dim)


@method(inplace=True)
@explained
def scatter_reduce(
    input: Tensor,
    dim: int,
    index: Tensor,
    src: Tensor,
    reduce: str,
    *,
    include_self: bool = True,
) -> Tensor:
    """Join elements along an axis with those at an index for each.

    Args:
        input: the tensor that is copied first.
        dim: the axis.
        index: integers with as many axes as the input.
        src: what is joined with it, of the input's element type.
        reduce: 'sum', 'prod', 'mean', 'amax' or 'amin'. Extrema share their gradient
            among equal elements. The gradient of 'prod' is right where factors are 0;
            its own gradient only where no place has two of them.
        include_self: whether the input's own elements count where something comes.

    Shape:
        that of `input`

    Raises:
        IndexError: an index is negative or too large.
        ShapeError: the index does not fit the input or the source.
        ValueError: `reduce` is something else.

    Example:
        >>> import pyautodl as ad
        >>> x, index = ad.tensor([1.0, 2.0]), ad.tensor([0, 0])
        >>> ad.scatter_reduce(x, 0, index, ad.tensor([3.0, 5.0]), "mean")
        tensor([3., 2.])
    """
    if reduce not in _REDUCTIONS:
        raise ValueError(
            f"scatter_reduce: reduce must be one of {', '.join(_REDUCTIONS)}, got "
            f"{describe(reduce)}"
        )
    op, neutral = _REDUCTIONS[reduce]
    places = as_index("scatter_reduce", index)
    terms = _part_at(src, places)
    start = input
    if not include_self:
        start = scatter(input, dim, places, value=neutral(input.dtype))
    joined = apply(op, start, places, terms, dim=dim)
    if reduce != "mean":
        return joined
    own = ones(input.shape, dtype=input.dtype)
    if not include_self:
        own = scatter(own, dim, places, value=0)
    one = expanded(as_value(1, input), places._array.shape)
    count = apply(SCATTER_ADD, own, places, one, dim=dim)
    # where nothing came, the element itself is the mean
    count = call("maximum", count, as_value(1, input))
    whole = input.dtype.category != FLOATING
    return call("floor_divide" if whole else "div", joined, count)


@method
@explained
def take_along_dim(
    input: Tensor, indices: Tensor, dim: int | None = None, **_numpy: Any
) -> Tensor:
    """Take elements along an axis as `gather`, after broadcasting the other axes.

    Args:
        input: a tensor.
        indices: integers with as many axes.
        dim: the axis; None means that of both, flattened.

    Example:
        >>> import pyautodl as ad
        >>> ad.take_along_dim(ad.tensor([[1, 2], [3, 4]]), ad.tensor([[1]]), dim=1)
        tensor([[2],
                [4]])
    """
    if _numpy:
        return by_numpy_names(take_along_dim, locals())
    index = as_index("take_along_dim", indices)
    if dim is None:
        return apply(GATHER, flatten(input), flatten(index), dim=0)
    axis = normalize_axis("take_along_dim", dim, input.ndim, input.shape)
    if index.ndim != input.ndim:
        raise ShapeError(
            f"take_along_dim: expected as many axes as {tuple(input.shape)}, got indices "
            f"of shape {tuple(index.shape)}"
        )
    shapes = [list(x.shape) for x in (input, index)]
    lengths = [shape[axis] for shape in shapes]
    for shape in shapes:
        shape[axis] = 1
    common = broadcast_shapes(*map(tuple, shapes))
    x, index = (
        expanded(each, (*common[:axis], n, *common[axis + 1 :]))
        for each, n in zip((input, index), lengths)
    )
    return apply(GATHER, x, index, dim=axis)
