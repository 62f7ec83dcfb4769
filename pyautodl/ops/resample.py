"""Filters along one spatial axis: bicubic interpolation, and resizing without aliases.

A resized axis is a product with a band matrix: each output position is a weighted sum of
a window of input positions. The windows and weights are a table that depends on sizes and
mode alone; the gradient is the same op with the table of the transposed matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from math import ceil, prod
from typing import Any

import numpy as np

from pyautodl.backends import Array, channels_last_strides, empty, run
from pyautodl.backends.dtypes import FLOATING, DType, int64
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.layout import ensure_channels_last
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register

__all__ = ["RESAMPLE"]

NDArray = np.ndarray[Any, Any]


# ---- the filters: weights by distance, in input positions ----


def _triangle(d: NDArray) -> NDArray:
    return np.maximum(1 - np.abs(d), 0)


def _cubic(d: NDArray, a: float) -> NDArray:
    d = np.abs(d)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = (((d - 5) * d + 8) * d - 4) * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


def _smooth_cubic(d: NDArray) -> NDArray:
    return _cubic(d, -0.5)


def _lanczos(d: NDArray) -> NDArray:
    return np.where(np.abs(d) < 3, np.sinc(d) * np.sinc(d / 3), 0)


# mode -> (filter against aliases, how far it reaches)
_FILTERS: dict[str, tuple[Callable[[NDArray], NDArray], int]] = {
    "linear": (_triangle, 1),
    "cubic": (_smooth_cubic, 2),
    "lanczos": (_lanczos, 3),
}


# ---- tables ----


def _entries(
    before: int,
    after: int,
    mode: str,
    align_corners: bool,
    scale: float | None,
    antialias: bool,
) -> tuple[NDArray, NDArray, NDArray]:
    """The matrix as output positions, input positions and weights."""
    if align_corners:
        step = (before - 1) / (after - 1) if after > 1 else 0.0
    else:
        step = 1 / scale if scale else before / after
    outputs = np.arange(after)[:, None]
    if antialias:
        inputs, weights = _window(before, step, outputs, *_FILTERS[mode])
    else:
        position = step * outputs if align_corners else step * (outputs + 0.5) - 0.5
        inputs = np.floor(position).astype(np.int64) + np.arange(-1, 3)
        weights = _cubic(inputs - position, -0.75)
        # the border goes on beyond the image
        inputs = inputs.clip(0, before - 1)
    return np.broadcast_to(outputs, inputs.shape), inputs, weights


def _window(
    before: int,
    step: float,
    outputs: NDArray,
    weigh: Callable[[NDArray], NDArray],
    reach: int,
) -> tuple[NDArray, NDArray]:
    """Input positions and weights, as Pillow takes them: a wider filter to shrink."""
    wide = max(step, 1.0)
    center = step * (outputs + 0.5)
    low = np.maximum((center - reach * wide + 0.5).astype(np.int64), 0)
    high = np.minimum((center + reach * wide + 0.5).astype(np.int64), before)
    inputs = low + np.arange(2 * ceil(reach * wide) + 1)
    weights = np.where(inputs < high, weigh((inputs - center + 0.5) / wide), 0)
    weights /= weights.sum(1, keepdims=True)
    return np.minimum(inputs, before - 1), weights


def _band(
    rows: NDArray, columns: NDArray, values: NDArray, shape: tuple[int, int]
) -> tuple[NDArray, NDArray]:
    """For each row of a matrix its first column and the values from there on."""
    rows, columns, values = (each[values != 0] for each in (rows, columns, values))
    first = np.full(shape[0], shape[1])
    last = np.zeros(shape[0], np.int64)
    np.minimum.at(first, rows, columns)
    np.maximum.at(last, rows, columns)
    taps = int((last - first).max(initial=0)) + 1
    # no window reaches beyond the last column, a row without values neither
    first = np.minimum(first, shape[1] - taps)
    weights = np.zeros((shape[0], taps))
    np.add.at(weights, (rows, columns - first[rows]), values)
    return first, weights


@lru_cache(maxsize=256)
def _table(
    before: int,
    after: int,
    mode: str,
    align_corners: bool,
    scale: float | None,
    antialias: bool,
    transposed: bool,
    dtype: DType,
) -> tuple[Array, Array]:
    """Where the windows start and the weights in them; not to be changed."""
    rows, columns, values = _entries(
        before, after, mode, align_corners, scale, antialias
    )
    if transposed:
        first, weights = _band(columns, rows, values, (before, after))
    else:
        first, weights = _band(rows, columns, values, (after, before))
    arrays = empty(first.shape, int64), empty(weights.shape, dtype)
    for array, numbers in zip(arrays, (first, weights), strict=True):
        array.numpy()[...] = numbers
    return arrays


# ---- the op ----


def _rule(
    x: Array,
    dim: int,
    before: int,
    after: int,
    mode: str,
    align_corners: bool,
    scale: float | None,
    antialias: bool,
    transposed: bool = False,
) -> tuple[Spec, ...]:
    if x.dtype.category != FLOATING:
        raise DTypeError(
            f"resample: expected a floating tensor, got {x.dtype.name} (x {x.shape}); "
            "likely fix: x.float()"
        )
    if not 3 <= x.ndim <= 5 or not 2 <= dim < x.ndim:
        raise ShapeError(
            f"resample: expected (n, c, one to three spatial axes) and one of these, got "
            f"x {x.shape} and dim {dim}"
        )
    if mode not in _FILTERS:
        raise ValueError(
            f"resample: mode must be one of {list(_FILTERS)}, got {mode!r}"
        )
    if not antialias and mode != "cubic":
        raise ValueError(f"resample: mode {mode!r} is there against aliases alone")
    if min(before, after) < 1:
        raise ShapeError(
            f"resample: sizes must be at least 1, got {before} and {after}"
        )
    if x.shape[dim] != (after if transposed else before):
        raise ShapeError(
            f"resample: axis {dim} of x {x.shape} is not of size "
            f"{after if transposed else before}"
        )
    size = before if transposed else after
    return (Spec((*x.shape[:dim], size, *x.shape[dim + 1 :]), x.dtype),)


def _forward(ctx: Any, needs: Any, x: Array, dim: int, **attrs: Any) -> Array:
    ((shape, _),) = _rule(x, dim, **attrs)
    y: Array = ctx.empty(shape, x.dtype, channels_last_strides(shape))
    attrs.setdefault("transposed", False)
    table = _table(dtype=x.dtype, **attrs)
    lines = [_around(each, dim) for each in (ensure_channels_last(ctx, x), y)]
    run("resample", (lines[0], *table), (lines[1],))
    return y


def _around(x: Array, dim: int) -> Array:
    """Channels-last memory as (what lies before an axis, the axis, what lies after)."""
    n, c, *sizes = x.shape
    size, inner = x.shape[dim], prod(sizes[dim - 1 :]) * c
    outer = n * prod(sizes[: dim - 2])
    return x.view((outer, size, inner), (size * inner, inner, 1))


def _vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    turned = not ctx.attrs.get("transposed", False)
    return (call("resample", g, **{**ctx.attrs, "transposed": turned}),)


def _reference(x: NDArray, dim: int, **attrs: Any) -> NDArray:
    """A product with the whole matrix."""
    turned = attrs.pop("transposed", False)
    matrix = np.zeros((attrs["after"], attrs["before"]))
    rows, columns, weights = _entries(**attrs)
    np.add.at(matrix, (rows, columns), weights)
    product = np.moveaxis(x, dim, -1) @ (matrix if turned else matrix.T)
    return np.moveaxis(product, -1, dim)


# ---- samples ----


def _attrs(
    dim: int,
    before: int,
    after: int,
    mode: str = "cubic",
    align_corners: bool = False,
    scale: float | None = None,
    antialias: bool = False,
) -> dict[str, Any]:
    return {
        "dim": dim,
        "before": before,
        "after": after,
        "mode": mode,
        "align_corners": align_corners,
        "scale": scale,
        "antialias": antialias,
    }


def _samples() -> Iterator[Sample]:
    normal = np.random.default_rng(0).standard_normal
    for attrs in (
        _attrs(2, 4, 7),
        _attrs(3, 5, 3),
        _attrs(3, 5, 9, align_corners=True),
        _attrs(2, 4, 1, align_corners=True),
        _attrs(3, 5, 8, scale=1.7),
        _attrs(2, 4, 4),
        _attrs(2, 1, 3),
        _attrs(2, 9, 4, "linear", antialias=True),
        _attrs(3, 4, 6, "linear", antialias=True),
        _attrs(2, 9, 4, "cubic", antialias=True),
        _attrs(3, 7, 2, "cubic", True, antialias=True),
        _attrs(2, 13, 4, "lanczos", antialias=True),
    ):
        shape = [2, 3, 2, 2]
        shape[attrs["dim"]] = attrs["before"]
        yield Sample((normal(shape),), attrs)
        shape[attrs["dim"]] = attrs["after"]
        yield Sample((normal(shape),), {**attrs, "transposed": True})
    yield Sample((normal((1, 2, 6)),), _attrs(2, 6, 4))
    yield Sample((normal((1, 2, 2, 4, 2)),), _attrs(3, 4, 5))
    yield Sample((np.zeros((0, 2, 4, 3)),), _attrs(2, 4, 6))
    yield Sample((normal((2, 37, 9, 7)),), _attrs(2, 9, 13), gradient=False)
    yield Sample((normal((2, 3, 9, 70)),), _attrs(2, 9, 13), gradient=False)


def _errors() -> Iterator[ErrorCase]:
    x, attrs = np.zeros((1, 1, 4, 4)), _attrs(2, 4, 6)
    whole = x.astype(np.int64)
    yield ErrorCase((whole,), attrs, DTypeError, "resample: expected a floating")
    yield ErrorCase((x[0, 0],), attrs, ShapeError, "resample: expected .n, c, one")
    yield ErrorCase((x,), {**attrs, "dim": 1}, ShapeError, "and dim 1")
    yield ErrorCase((x,), {**attrs, "after": 0}, ShapeError, "at least 1, got 4 and 0")
    yield ErrorCase((x,), {**attrs, "before": 5}, ShapeError, "axis 2 .* of size 5")
    yield ErrorCase((x,), {**attrs, "mode": "box"}, ValueError, "mode must be one of")
    yield ErrorCase((x,), {**attrs, "mode": "linear"}, ValueError, "against aliases")


RESAMPLE = register(
    Op(
        name="resample",
        rule=_rule,
        forward=_forward,
        vjp=_vjp,
        samples=_samples,
        errors=_errors,
        reference=_reference,
    )
)
