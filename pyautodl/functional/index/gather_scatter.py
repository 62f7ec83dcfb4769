"""Elements along an axis, at an index for each."""

from __future__ import annotations

from typing import Any

from pyautodl.errors import ShapeError
from pyautodl.functional.index.arguments import as_index, as_value, expanded
from pyautodl.functional.views import broadcast_shapes, flatten
from pyautodl.ops.axes import normalize_axis
from pyautodl.ops.index import GATHER, SCATTER, SCATTER_ADD
from pyautodl.tensor import Tensor, apply, method

__all__ = ["gather", "scatter", "scatter_add", "take_along_dim"]


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

    Args:
        input: the tensor that is copied first.
        dim: the axis.
        index: integers with as many axes as the input.
        src: what is written: a tensor or a number.
        value: a number, instead of `src`.
        reduce: None, or 'add' to add.

    Raises:
        IndexError: an index is negative or too large.

    Example:
        >>> import pyautodl as ad
        >>> ad.scatter(ad.zeros(3), 0, ad.tensor([2, 0]), ad.tensor([5.0, 6.0]))
        tensor([6., 0., 5.])
    """
    if reduce not in (None, "add"):
        raise NotImplementedError(f"scatter: reduce={reduce!r} is not supported")
    places = as_index("scatter", index)
    source = value if src is None else src
    if not isinstance(source, Tensor):
        source = expanded(as_value(source, input), places._array.shape)
    return apply(
        SCATTER if reduce is None else SCATTER_ADD, input, places, source, dim=dim
    )


@method(inplace=True)
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


@method
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """Take elements along an axis as `gather`, after broadcasting the other axes.

    Example:
        >>> import pyautodl as ad
        >>> ad.take_along_dim(ad.tensor([[1, 2], [3, 4]]), ad.tensor([[1]]), dim=1)
        tensor([[2],
                [4]])
    """
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
