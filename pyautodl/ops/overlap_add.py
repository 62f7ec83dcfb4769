"""Windows of a signal added up where they overlap: what `unfold` is differentiated with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pyautodl.backends import Array, run
from pyautodl.errors import ShapeError
from pyautodl.ops.axes import normalize_axis
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register
from pyautodl.ops.views import along, filled

__all__ = ["OVERLAP_ADD"]


def _rule(x: Array, dim: int, step: int, length: int) -> tuple[Spec, ...]:
    if x.ndim < 2:
        raise ShapeError(
            f"overlap_add: expected windows (..., count, size), got shape {x.shape}"
        )
    axis = normalize_axis("overlap_add", dim, x.ndim - 1, x.shape[:-1])
    count, size = x.shape[axis], x.shape[-1]
    reached = (count - 1) * step + size if count else 0
    if step < 1 or length < reached:
        raise ShapeError(
            f"overlap_add: {count} windows of {size} every {step} reach {reached}, the "
            f"length is {length}: shape {x.shape}"
        )
    return (Spec((*x.shape[:axis], length, *x.shape[axis + 1 : -1]), x.dtype),)


def _forward(ctx: Any, needs: Any, x: Array, dim: int, step: int, length: int) -> Array:
    """Parts of `step` elements do not overlap: all windows' k-th parts are one sum."""
    ((shape, dtype),) = _rule(x, dim, step, length)
    out = filled(ctx.empty(shape, dtype), 0)
    axis, size = dim % out.ndim, x.shape[-1]
    stride = out.strides[axis]
    strides = list(out.strides)
    strides[axis] *= step
    for first in range(0, size if x.size else 0, step):
        part = (*x.shape[:-1], min(step, size - first))
        terms = x.view(part, x.strides, x.offset + first * x.strides[-1])
        place = out.view(part, (*strides, stride), out.offset + first * stride)
        run("add", (place, terms), (place,))
    return out


def _vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    shape, step = ctx.shapes[0], ctx.attrs["step"]
    axis = ctx.attrs["dim"] % (len(shape) - 1)
    count, size = shape[axis], shape[-1]
    if not count or not size:
        return (call("full", shape=shape, value=0.0, dtype=ctx.dtypes[0]),)
    reached = (count - 1) * step + size
    if reached < g.shape[axis]:
        g = call("slice", g, **along(len(g.shape), g.shape, axis, 0, reached), drop=())
    return (call("unfold", g, dim=axis, size=size, step=step),)


def _reference(x: np.ndarray[Any, Any], dim: int, step: int, length: int) -> Any:
    windows = np.moveaxis(x, dim % (x.ndim - 1), 0)
    out = np.zeros((length, *windows.shape[1:-1]), x.dtype)
    for i, window in enumerate(windows):
        out[i * step : i * step + x.shape[-1]] += np.moveaxis(window, -1, 0)
    return np.moveaxis(out, 0, dim % (x.ndim - 1))


def _samples() -> Iterator[Sample]:
    normal = np.random.default_rng(5).standard_normal
    yield Sample((normal((2, 3, 4)),), {"dim": -1, "step": 2, "length": 8})
    yield Sample((normal((3, 2, 5)),), {"dim": 0, "step": 2, "length": 11})
    yield Sample((normal((2, 3)),), {"dim": 0, "step": 4, "length": 9})
    yield Sample((normal((3, 1)),), {"dim": 0, "step": 1, "length": 3})
    yield Sample((np.zeros((2, 0, 3)),), {"dim": 1, "step": 1, "length": 4})
    yield Sample((np.zeros((0, 2, 3)),), {"dim": 1, "step": 1, "length": 4})
    attrs = {"dim": 1, "step": 50, "length": 5000}
    yield Sample((normal((3, 90, 170)),), attrs, gradient=False)


def _errors() -> Iterator[ErrorCase]:
    attrs = {"dim": 0, "step": 2, "length": 6}
    match = "overlap_add: 3 windows of 3 every 2 reach 7, the length is 6"
    yield ErrorCase((np.zeros((3, 3)),), attrs, ShapeError, match)
    yield ErrorCase((np.zeros(3),), attrs, ShapeError, "overlap_add: expected windows")
    yield ErrorCase((np.zeros((3, 3)),), {**attrs, "dim": 1}, IndexError, "dim must be")


OVERLAP_ADD = register(
    Op(
        name="overlap_add",
        rule=_rule,
        forward=_forward,
        vjp=_vjp,
        samples=_samples,
        errors=_errors,
        reference=_reference,
    )
)
