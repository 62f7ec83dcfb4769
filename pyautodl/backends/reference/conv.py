"""Convolutions as sums over the kernel's taps, in NumPy.

Spatial numbers always come three at a time (depth, height, width); 1-D and 2-D arrays
get axes of size 1 in front. Padding is what lies before the first pixel; how much lies
behind the last follows from the output's shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from pyautodl.backends.reference.matmul import activate

__all__ = [
    "col2im",
    "conv_bwd_w",
    "conv_bwd_x",
    "conv_fwd",
    "conv_weight",
    "im2col",
]

NDArray = np.ndarray[Any, Any]
# indices into the last three axes: a tap of the weight, outputs, source pixels
Taps = Iterator[tuple[Any, Any, Any]]


def five_axes(a: NDArray) -> NDArray:
    """A view of (n, c, spatial...) as (n, c, d, h, w)."""
    return (
        a.reshape(a.shape)
        if a.ndim == 5
        else np.expand_dims(a, tuple(range(2, 7 - a.ndim)))
    )


def _overlap(
    tap: int, source: int, out: int, s: int, p: int, d: int
) -> tuple[slice, slice]:
    """The outputs whose source under `tap` is inside the image, and those sources."""
    first = tap * d - p
    begin = max(0, -(first // s))
    end = min(out, (source - 1 - first) // s + 1)
    if end <= begin:
        return slice(0, 0), slice(0, 0)
    start = first + begin * s
    return slice(begin, end), slice(start, start + (end - begin - 1) * s + 1, s)


def _taps(
    kernel: tuple[int, ...],
    source: tuple[int, ...],
    out: tuple[int, ...],
    numbers: tuple[int, ...],
) -> Taps:
    """For every tap: its index, the outputs that see the image by it, the sources."""
    stride, padding, dilation = numbers[:3], numbers[3:6], numbers[6:9]
    for tap in product(*map(range, kernel)):
        pairs = [
            _overlap(*each)
            for each in zip(tap, source, out, stride, padding, dilation, strict=True)
        ]
        yield (..., *tap), (..., *(a for a, _ in pairs)), (..., *(b for _, b in pairs))


def _split(a: NDArray, axis: int, groups: int) -> NDArray:
    """The channels of `axis` as (groups, channels of a group), a view."""
    return a.reshape(
        *a.shape[:axis], groups, a.shape[axis] // groups, *a.shape[axis + 1 :]
    )


def conv_fwd(
    x: NDArray,
    weight: NDArray,
    packed: NDArray | None,
    scale: NDArray | None,
    bias: NDArray | None,
    residual: NDArray | None,
    out: NDArray,
    *numbers: Any,
) -> None:
    """out[o] = sum over taps and input channels of x shifted times weight, and then what
    `finish` does; `packed` is the weight once more.
    """
    *ints, activation, p0, p1 = numbers
    groups = ints[9]
    x, w, y = five_axes(x), five_axes(weight), five_axes(out)
    total = np.zeros(y.shape, y.dtype)
    xg, wg, yg = _split(x, 1, groups), _split(w, 0, groups), _split(total, 1, groups)
    for tap, at, source in _taps(w.shape[2:], x.shape[2:], y.shape[2:], tuple(ints)):
        yg[at] += np.einsum("ngcdhw,goc->ngodhw", xg[source], wg[tap])
    y[...] = total
    finish(out, scale, bias, residual, activation, p0, p1)


def finish(
    out: NDArray,
    scale: NDArray | None,
    bias: NDArray | None,
    residual: NDArray | None,
    activation: int,
    p0: float,
    p1: float,
) -> None:
    """out = activation(scale out + bias + residual), scale and bias by channel."""
    channels = (1, -1, *(1,) * (out.ndim - 2))
    if scale is not None:
        out *= scale.reshape(channels)
    if bias is not None:
        out += bias.reshape(channels)
    if residual is not None:
        out += residual
    out[...] = activate(out, activation, p0, p1)


def conv_weight(weight: NDArray, out: NDArray, groups: int) -> None:
    """How a weight is packed is the compiled kernel's affair; here it is copied."""
    out.reshape(-1)[: weight.size] = weight.reshape(-1)


def conv_bwd_x(
    dy: NDArray, weight: NDArray, bias: NDArray | None, dx: NDArray, *ints: int
) -> None:
    """The gradient of conv_fwd by x; plus a bias, the transposed convolution."""
    groups = ints[9]
    dy, w, out = five_axes(dy), five_axes(weight), five_axes(dx)
    total = np.zeros(out.shape, out.dtype)
    yg, wg, xg = _split(dy, 1, groups), _split(w, 0, groups), _split(total, 1, groups)
    for tap, at, source in _taps(w.shape[2:], out.shape[2:], dy.shape[2:], ints):
        xg[source] += np.einsum("ngodhw,goc->ngcdhw", yg[at], wg[tap])
    out[...] = total if bias is None else total + bias.reshape(1, -1, 1, 1, 1)


def conv_bwd_w(
    x: NDArray, dy: NDArray, dw: NDArray, db: NDArray | None, *ints: int
) -> None:
    """The gradients of conv_fwd by the weight and, if wanted, by the bias."""
    groups = ints[9]
    x, dy, w = five_axes(x), five_axes(dy), five_axes(dw)
    xg, yg, wg = _split(x, 1, groups), _split(dy, 1, groups), _split(w, 0, groups)
    for tap, at, source in _taps(w.shape[2:], x.shape[2:], dy.shape[2:], ints):
        wg[tap] = np.einsum("ngodhw,ngcdhw->goc", yg[at], xg[source])
    if db is not None:
        db[...] = dy.sum(axis=(0, 2, 3, 4))


def im2col(x: NDArray, out: NDArray, *ints: int) -> None:
    """Every patch of x as a column: (n, c, h, w) -> (n, c kh kw, oh ow)."""
    x, columns, at_taps = _fold_plan(x, ints)
    columns[...] = 0
    for tap, at, source in at_taps:
        columns[(slice(None), slice(None), *tap[1:], *at[1:])] = x[source]
    out[...] = columns.reshape(out.shape)


def col2im(columns: NDArray, out: NDArray, *ints: int) -> None:
    """The sum of all patches, each at its place: the transposed map of im2col."""
    x, patches, at_taps = _fold_plan(out, ints)
    patches[...] = columns.reshape(patches.shape)
    x[...] = 0
    for tap, at, source in at_taps:
        x[source] += patches[(slice(None), slice(None), *tap[1:], *at[1:])]


def _fold_plan(image: NDArray, ints: tuple[int, ...]) -> tuple[NDArray, NDArray, Taps]:
    """The image with five axes, memory for columns by tap and pixel, the taps."""
    image = five_axes(image)
    stride, padding, dilation, kernel = ints[:3], ints[3:6], ints[6:9], ints[9:12]
    shape = ints[12:15]
    patches = np.empty((*image.shape[:2], *kernel, *shape), image.dtype)
    return (
        image,
        patches,
        _taps(kernel, image.shape[2:], shape, (*stride, *padding, *dilation)),
    )
