"""Tensors with a part of them replaced, as copies: what `x[...] = v` does in place."""

from __future__ import annotations

from collections.abc import Callable

from pyautodl.errors import ShapeError
from pyautodl.tensor import Tensor, explained, method

__all__ = ["diagonal_scatter", "select_scatter", "slice_scatter"]


def _replaced(
    name: str, input: Tensor, src: Tensor, part: Callable[[Tensor], Tensor]
) -> Tensor:
    whole = input.clone()
    target = part(whole)
    if tuple(target.shape) != tuple(src.shape):
        raise ShapeError(
            f"{name}: expected src of the part's shape {tuple(target.shape)}, got "
            f"{tuple(src.shape)}"
        )
    target.copy_(src)
    return whole


@method
@explained
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """Return a copy with src in the place of `input.select(dim, index)`.

    Args:
        input: a tensor.
        src: what comes there, with one axis less.
        dim: the axis.
        index: the place along it.

    Raises:
        ShapeError: src has another shape than that part.

    Example:
        >>> import pyautodl as ad
        >>> ad.select_scatter(ad.zeros(2, 2), ad.ones(2), 1, 0)
        tensor([[1., 0.],
                [1., 0.]])
    """
    return _replaced("select_scatter", input, src, lambda x: x.select(dim, index))


@method
@explained
def slice_scatter(
    input: Tensor,
    src: Tensor,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Tensor:
    """Return a copy with src in the place of a slice along an axis.

    Args:
        input: a tensor.
        src: what comes there.
        dim: the axis.
        start, end, step: the slice.

    Raises:
        ShapeError: src has another shape than the slice.

    Example:
        >>> import pyautodl as ad
        >>> ad.slice_scatter(ad.zeros(4), ad.ones(2), start=1, step=2)
        tensor([0., 1., 0., 1.])
    """
    dim = dim % input.ndim if -input.ndim <= dim < input.ndim else dim
    if not 0 <= dim < input.ndim:
        raise IndexError(
            f"slice_scatter: dim must be an axis of shape {tuple(input.shape)}, got {dim}"
        )
    key = (slice(None),) * dim + (slice(start, end, step),)
    return _replaced("slice_scatter", input, src, lambda x: x[key])


@method
@explained
def diagonal_scatter(
    input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Tensor:
    """Return a copy with src in the place of `input.diagonal(offset, dim1, dim2)`.

    Args:
        input: a tensor.
        src: what comes there.
        offset: how far above the main diagonal; below, if negative.
        dim1: the axis of rows.
        dim2: the axis of columns.

    Raises:
        ShapeError: src has another shape than that diagonal.

    Example:
        >>> import pyautodl as ad
        >>> ad.diagonal_scatter(ad.zeros(2, 2), ad.ones(2))
        tensor([[1., 0.],
                [0., 1.]])
    """

    def part(x: Tensor) -> Tensor:
        return x.diagonal(offset, dim1, dim2)

    return _replaced("diagonal_scatter", input, src, part)
