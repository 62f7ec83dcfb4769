"""Ops that reduce axes: sums, means, extrema, norms."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from pyautodl.backends import Array, run
from pyautodl.backends.dtypes import FLOATING, int64
from pyautodl.errors import ShapeError
from pyautodl.ops.axes import normalize_axes, reduced_shape
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register

__all__ = ["SUM", "SUM_TO"]

Ints = tuple[int, ...]
Dim = int | Ints | None


def _grid(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(prod(shape)).standard_normal(shape)


def _output(
    ctx: Any, x: Array, axes: Ints, keepdim: bool, dtype: Any
) -> tuple[Array, Array]:
    """The output, and the same memory with all of x's axes, as kernels want it."""
    out: Array = ctx.empty(reduced_shape(x.shape, axes, keepdim), dtype)
    if keepdim:
        return out, out
    strides = list(out.strides)
    for axis in axes:
        strides.insert(axis, 1)
    return out, out.view(reduced_shape(x.shape, axes, True), tuple(strides))


def _spread(call: Any, g: Any, shape: Ints, axes: Ints, keepdim: bool) -> Any:
    """The gradient of a reduced output, once for each element that went into it."""
    if not keepdim:
        g = call("reshape", g, shape=reduced_shape(shape, axes, True))
    return call("expand", g, shape=shape)


# ---- sum ----


def _sum_dtype(x: Array) -> Any:
    return x.dtype if x.dtype.category == FLOATING else int64


def _sum_rule(x: Array, dim: Dim = None, keepdim: bool = False) -> tuple[Spec, ...]:
    axes = normalize_axes("sum", dim, x.shape)
    return (Spec(reduced_shape(x.shape, axes, keepdim), _sum_dtype(x)),)


def _sum_forward(
    ctx: Any, needs: Any, x: Array, dim: Dim = None, keepdim: bool = False
) -> Array:
    axes = normalize_axes("sum", dim, x.shape)
    out, full = _output(ctx, x, axes, keepdim, _sum_dtype(x))
    run("sum", (x,), (full,), (), (1.0,))
    return out


def _sum_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    shape = ctx.shapes[0]
    axes = normalize_axes("sum", ctx.attrs.get("dim"), shape)
    return (_spread(call, g, shape, axes, ctx.attrs.get("keepdim", False)),)


def _axis(dim: Dim) -> Dim:
    """As NumPy wants it: () means all axes here, none there."""
    return None if dim == () else dim


def _sum_reference(
    x: np.ndarray[Any, Any], dim: Dim = None, keepdim: bool = False
) -> Any:
    return x.sum(axis=_axis(dim), keepdims=keepdim)


def _dims_samples(*, crossing: bool = True) -> Iterator[Sample]:
    """Every kind of `dim`, and shapes that cross blocks and vectors."""
    x = _grid(2, 3, 4)
    for dim in (None, 0, -1, (0, 2), (1,), ()):
        yield Sample((x,), {"dim": dim})
    yield Sample((x,), {"dim": (1, 2), "keepdim": True})
    yield Sample((_grid(),), {})
    yield Sample((_grid(1, 3),), {"dim": 0})
    if crossing:
        yield Sample((_grid(70, 300),), {"dim": 0}, gradient=False)
        yield Sample((_grid(3, 5000),), {"dim": 1}, gradient=False)
        yield Sample((_grid(4, 5, 67).transpose(1, 2, 0),), {"dim": 1}, gradient=False)
        yield Sample((_grid(70000),), {}, gradient=False)


def _sum_samples() -> Iterator[Sample]:
    yield from _dims_samples()
    yield Sample((np.zeros((0, 3)),), {"dim": 0})
    yield Sample((np.zeros((2, 0)),), {"dim": 0})
    yield Sample((np.arange(6).reshape(2, 3),), {"dim": 1})


def _dim_errors(name: str) -> Iterator[ErrorCase]:
    yield ErrorCase(
        (_grid(2, 3),), {"dim": 2}, IndexError, f"{name}: dim must be from -2"
    )
    yield ErrorCase((_grid(2, 3),), {"dim": (0, -2)}, ValueError, f"{name}: dim names")


def _sum_errors() -> Iterator[ErrorCase]:
    yield from _dim_errors("sum")


SUM = register(
    Op(
        name="sum",
        rule=_sum_rule,
        forward=_sum_forward,
        vjp=_sum_vjp,
        samples=_sum_samples,
        errors=_sum_errors,
        reference=_sum_reference,
    )
)

# ---- sum_to: what undoes broadcasting ----


def _sum_to_rule(x: Array, shape: Ints) -> tuple[Spec, ...]:
    front = x.ndim - len(shape)
    fits = front >= 0 and all(
        small in (1, n)
        for small, n in zip(shape, x.shape[max(front, 0) :], strict=False)
    )
    if not fits:
        raise ShapeError(
            f"sum_to: shape {tuple(shape)} does not broadcast to {x.shape}"
        )
    return (Spec(tuple(shape), _sum_dtype(x)),)


def _sum_to_forward(ctx: Any, needs: Any, x: Array, shape: Ints) -> Array:
    if x.shape == tuple(shape) and x.dtype is _sum_dtype(x):
        return x.view(x.shape, x.strides)
    front = x.ndim - len(shape)
    out: Array = ctx.empty(tuple(shape), _sum_dtype(x))
    full = out.view((*(1,) * front, *shape), (*(1,) * front, *out.strides))
    run("sum", (x,), (full,), (), (1.0,))
    return out


def _sum_to_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    return (call("expand", g, shape=ctx.shapes[0]),)


def _sum_to_reference(x: np.ndarray[Any, Any], shape: Ints) -> Any:
    front = x.ndim - len(shape)
    axes = [i for i in range(x.ndim) if i < front or shape[i - front] != x.shape[i]]
    return x.sum(axis=tuple(axes), keepdims=True).reshape(shape)


def _sum_to_samples() -> Iterator[Sample]:
    yield Sample((_grid(2, 3, 4),), {"shape": (3, 1)})
    yield Sample((_grid(2, 3),), {"shape": ()})
    yield Sample((_grid(2, 3),), {"shape": (2, 3)})
    yield Sample((_grid(1, 3),), {"shape": (3,)})
    yield Sample((np.zeros((0, 3)),), {"shape": (1, 3)})


def _sum_to_errors() -> Iterator[ErrorCase]:
    match = r"sum_to: shape \(2,\) does not broadcast to \(2, 3\)"
    yield ErrorCase((_grid(2, 3),), {"shape": (2,)}, ShapeError, match)


SUM_TO = register(
    Op(
        name="sum_to",
        rule=_sum_to_rule,
        forward=_sum_to_forward,
        vjp=_sum_to_vjp,
        samples=_sum_to_samples,
        errors=_sum_to_errors,
        reference=_sum_to_reference,
        view=True,
    )
)
