"""The way back from max pooling: maxima go where they were, the rest is 0."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from pyautodl.errors import ShapeError, describe
from pyautodl.functional.creation import zeros
from pyautodl.functional.index.arguments import as_index
from pyautodl.functional.networks.pool import window_strides
from pyautodl.ops.integers import each_axis, integers
from pyautodl.tensor import Tensor, explained

__all__ = ["max_unpool1d", "max_unpool2d", "max_unpool3d"]


def _max_unpool(
    axes: int,
    x: Tensor,
    indices: Tensor,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    output_size: Sequence[int] | None,
) -> Tensor:
    name = f"max_unpool{axes}d"
    kernel = each_axis(name, "kernel_size", kernel_size, axes)
    steps = window_strides(name, stride, kernel)
    pads = each_axis(name, "padding", padding, axes)
    places = as_index(name, indices)
    if x.ndim not in (axes + 1, axes + 2) or places.shape != x.shape:
        raise ShapeError(
            f"{name}: expected {axes + 2} axes (n,c,...) or {axes + 1} (c,...), and indices "
            f"of the same shape, got {tuple(x.shape)} and {tuple(places.shape)}"
        )
    sizes = tuple(
        (n - 1) * step + k - 2 * pad
        for n, step, k, pad in zip(x.shape[-axes:], steps, kernel, pads)
    )
    if output_size is not None:
        sizes = _chosen(name, output_size, sizes, steps)
    if min(sizes) < 0:
        raise ShapeError(
            f"{name}: the output would have the sizes {sizes} for x {tuple(x.shape)}"
        )
    places = places.flatten(-axes)
    _check_range(name, places, prod(sizes))
    lead = x.shape[:-axes]
    out = zeros(*lead, prod(sizes), dtype=x.dtype)
    return out.scatter(-1, places, x.flatten(-axes)).reshape(*lead, *sizes)


def _chosen(
    name: str, given: Sequence[int], sizes: tuple[int, ...], steps: tuple[int, ...]
) -> tuple[int, ...]:
    """The sizes that were asked for, of those from which pooling leads to the input's."""
    chosen = integers(name, "output_size", given)
    if len(chosen) == len(sizes) + 2:
        chosen = chosen[2:]
    if len(chosen) != len(sizes) or any(
        abs(n - size) >= step for n, size, step in zip(chosen, sizes, steps)
    ):
        least = tuple(size - step + 1 for size, step in zip(sizes, steps))
        most = tuple(size + step - 1 for size, step in zip(sizes, steps))
        raise ShapeError(
            f"{name}: output_size must be from {least} to {most}, got {describe(given)}"
        )
    return chosen


def _check_range(name: str, places: Tensor, limit: int) -> None:
    if not places.numel():
        return
    for place in (places.min().item(), places.max().item()):
        if not 0 <= place < limit:
            raise IndexError(
                f"{name}: index {place} is out of range for an output of {limit} elements; "
                "likely fix: output_size, the size that was pooled"
            )


@explained
def max_unpool1d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Put maxima back along the last axis; see `max_unpool2d`.

    Shape:
        (n, c, l) or (c, l) -> (n, c, ol) or (c, ol)

    Example:
        >>> import pyautodl as ad
        >>> F = ad.nn.functional
        >>> y, i = F.max_pool1d(ad.tensor([[1.0, 3.0, 4.0, 2.0]]), 2, return_indices=True)
        >>> F.max_unpool1d(y, i, 2)
        tensor([[0., 3., 4., 0.]])
    """
    return _max_unpool(1, input, indices, kernel_size, stride, padding, output_size)


@explained
def max_unpool2d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Put maxima back where max pooling took them from; all else is 0.

    Args:
        input: what `max_pool2d` gave.
        indices: what it gave with return_indices=True.
        kernel_size, stride, padding: what it was given.
        output_size: the size that was pooled, alone or with the axes n and c, where several
            lead to the input's; default: the least from which all windows are whole.

    Shape:
        (n, c, h, w) or (c, h, w) -> (n, c, oh, ow) or (c, oh, ow), with
        oh = (h - 1) stride - 2 padding + kernel_size

    Raises:
        ShapeError: the shapes do not fit, or pooling does not lead from output_size to the
            input's size.
        IndexError: an index lies outside of the output.

    Example:
        >>> import pyautodl as ad
        >>> F = ad.nn.functional
        >>> x = ad.tensor([[[1.0, 3.0], [4.0, 2.0]]])
        >>> y, i = F.max_pool2d(x, 2, return_indices=True)
        >>> F.max_unpool2d(y, i, 2)
        tensor([[[0., 0.],
                 [4., 0.]]])
    """
    return _max_unpool(2, input, indices, kernel_size, stride, padding, output_size)


@explained
def max_unpool3d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Put maxima back over three axes; see `max_unpool2d`.

    Shape:
        (n, c, d, h, w) or (c, d, h, w) -> (n, c, od, oh, ow) or (c, od, oh, ow)

    Example:
        >>> import pyautodl as ad
        >>> F = ad.nn.functional
        >>> x = ad.arange(8.0).reshape(1, 1, 2, 2, 2)
        >>> y, i = F.max_pool3d(x, 2, return_indices=True)
        >>> F.max_unpool3d(y, i, 2).flatten()
        tensor([0., 0., 0., 0., 0., 0., 0., 7.])
    """
    return _max_unpool(3, input, indices, kernel_size, stride, padding, output_size)
