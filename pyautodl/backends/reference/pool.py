"""NumPy meaning of the pooling kernels."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "avg_pool_bwd",
    "avg_pool_fwd",
    "max_pool_bwd",
    "max_pool_fwd",
    "max_pool_take",
]

NDArray = np.ndarray[Any, Any]


class _Axis(NamedTuple):
    """Input positions of every output's cells, (out, kernel), and which lie inside."""

    positions: NDArray
    inside: NDArray
    starts: NDArray


def _lift(a: NDArray) -> NDArray:
    """A view of (n, c, ...) with three spatial axes, absent ones in front."""
    return a[(slice(None), slice(None), *(None,) * (5 - a.ndim))]


def _axes(
    x: NDArray,
    y: NDArray,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    adaptive: int,
) -> list[_Axis]:
    axes = []
    for i in range(3):
        size, outputs = x.shape[2 + i], y.shape[2 + i]
        o, cells = np.arange(outputs)[:, None], np.arange(kernel[i])
        if adaptive:
            starts = o * size // max(outputs, 1)
            stops = -((o + 1) * -size // max(outputs, 1))
            positions = starts + cells
            inside = positions < stops
        else:
            starts = o * stride[i] - padding[i]
            positions = starts + cells * dilation[i]
            inside = (positions >= 0) & (positions < size)
        axes.append(_Axis(np.where(inside, positions, 0), inside, starts[:, 0]))
    return axes


def _cross(d: NDArray, h: NDArray, w: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Three (out, kernel) arrays for broadcasting to (od, oh, ow, kd, kh, kw)."""
    return (
        d[:, None, None, :, None, None],
        h[None, :, None, None, :, None],
        w[None, None, :, None, None, :],
    )


def _inside(axes: list[_Axis]) -> NDArray:
    d, h, w = _cross(*(axis.inside for axis in axes))
    return d & h & w


def _positions(axes: list[_Axis]) -> tuple[NDArray, NDArray, NDArray]:
    return _cross(*(axis.positions for axis in axes))


def _patches(x: NDArray, axes: list[_Axis]) -> NDArray:
    """(n, c, od, oh, ow, cells); what lies outside holds an arbitrary element."""
    return _flat(x[(slice(None), slice(None), *_positions(axes))])


def _flat(patches: NDArray) -> NDArray:
    """Joins the last three axes, the cells of a window; also when others are empty."""
    return patches.reshape(*patches.shape[:-3], prod(patches.shape[-3:]))


def _split(ints: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(ints[i : i + 3]) for i in range(0, len(ints) - 2, 3))


def max_pool_fwd(
    x: NDArray, y: NDArray, cell: NDArray | None, indices: NDArray | None, *ints: int
) -> None:
    """Largest element of each window; its cell number; its flat input position."""
    x, y = _lift(x), _lift(y)
    kernel, stride, padding, dilation = _split(ints[:12])
    axes = _axes(x, y, kernel, stride, padding, dilation, ints[12])
    inside = _flat(_inside(axes))
    patches = np.where(inside, _patches(x, axes), -np.inf)
    # argmax takes the first NaN, else the first maximum
    winner = patches.argmax(-1)
    first_inside = np.broadcast_to(inside.argmax(-1), winner.shape)
    is_inside = np.take_along_axis(
        np.broadcast_to(inside, patches.shape), winner[..., None], -1
    )[..., 0]
    # a window of -inf alone, whose first cell is padding
    winner = np.where(is_inside, winner, first_inside)
    y[...] = np.take_along_axis(patches, winner[..., None], -1)[..., 0]
    if ints[13]:
        winner = np.where(y <= 0, -1, winner)
        y[...] = np.where(y <= 0, 0, y)
    if cell is not None:
        _lift(cell)[...] = winner.astype(cell.dtype)
    if indices is not None:
        _lift(indices)[...] = _flat_positions(winner, x.shape, axes, kernel)


def _flat_positions(
    winner: NDArray, shape: tuple[int, ...], axes: list[_Axis], kernel: tuple[int, ...]
) -> NDArray:
    cells = np.unravel_index(winner, kernel)
    outputs = np.indices(winner.shape)[2:]
    along = [
        axis.positions[output, cell]
        for axis, output, cell in zip(axes, outputs, cells, strict=True)
    ]
    _, _, _, height, width = shape
    flat: NDArray = (along[0] * height + along[1]) * width + along[2]
    return flat


def _one_hot(cell: NDArray, kernel: tuple[int, ...]) -> NDArray:
    """(n, c, od, oh, ow, cells): which cell won."""
    hot: NDArray = _lift(cell)[..., None] == np.arange(prod(kernel))
    return hot


def max_pool_bwd(gy: NDArray, cell: NDArray, gx: NDArray, *ints: int) -> None:
    """Each window's gradient goes to its winner."""
    kernel, stride, padding, dilation = _split(ints[:12])
    axes = _axes(_lift(gx), _lift(gy), kernel, stride, padding, dilation, ints[12])
    _scatter(_one_hot(cell, kernel) * _lift(gy)[..., None], axes, kernel, gx)


def _scatter(
    parts: NDArray, axes: list[_Axis], kernel: tuple[int, ...], gx: NDArray
) -> None:
    """Sum (n, c, od, oh, ow, cells) into the cells' input positions."""
    parts = np.where(_flat(_inside(axes)), parts, 0)
    parts = parts.reshape(*parts.shape[:-1], *kernel)
    total = np.zeros(_lift(gx).shape, gx.dtype)
    places: Any = (slice(None), slice(None), *_positions(axes))
    np.add.at(total, places, parts)
    _lift(gx)[...] = total


def max_pool_take(x: NDArray, cell: NDArray, y: NDArray, *ints: int) -> None:
    """The elements that `cell` names."""
    x = _lift(x)
    kernel, stride, padding, dilation = _split(ints[:12])
    axes = _axes(x, _lift(y), kernel, stride, padding, dilation, ints[12])
    taken = np.where(_one_hot(cell, kernel), _patches(x, axes), 0)
    _lift(y)[...] = taken.sum(-1)


def _divisors(
    x: NDArray, axes: list[_Axis], ints: tuple[int, ...], kernel: tuple[int, ...]
) -> NDArray | int:
    """What each window's sum is divided by, (od, oh, ow)."""
    adaptive, with_padding, divisor = ints[9:12]
    if divisor:
        return divisor
    counts = [axis.inside.sum(1) for axis in axes]
    if with_padding and not adaptive:
        counts = [
            np.minimum(axis.starts + kernel[i], x.shape[2 + i] + ints[6 + i])
            - axis.starts
            for i, axis in enumerate(axes)
        ]
    d, h, w = counts
    product: NDArray = d[:, None, None] * h[:, None] * w
    return product


def avg_pool_fwd(x: NDArray, y: NDArray, *ints: int) -> None:
    """Mean of each window."""
    x = _lift(x)
    kernel, stride, padding = _split(ints[:9])
    axes = _axes(x, _lift(y), kernel, stride, padding, (1, 1, 1), ints[9])
    sums = np.where(_flat(_inside(axes)), _patches(x, axes), 0).sum(-1)
    _lift(y)[...] = sums / _divisors(x, axes, ints, kernel)


def avg_pool_bwd(gy: NDArray, gx: NDArray, *ints: int) -> None:
    """Each window's gradient is shared by its cells."""
    kernel, stride, padding = _split(ints[:9])
    axes = _axes(_lift(gx), _lift(gy), kernel, stride, padding, (1, 1, 1), ints[9])
    shares = _lift(gy) / _divisors(_lift(gx), axes, ints, kernel)
    parts = np.broadcast_to(shares[..., None], (*shares.shape, prod(kernel)))
    _scatter(parts, axes, kernel, gx)
