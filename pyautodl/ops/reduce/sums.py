"""Sums, sums that undo broadcasting, and the logarithm of a sum of exponentials."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import Any

import numpy as np

from pyautodl.backends import Array, Made, contiguous_strides, run
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.axes import normalize_axes, reduced_shape
from pyautodl.ops.eltwise.mapping import back, map_op
from pyautodl.ops.plan import KernelPlan, Plan, ViewPlan, planned, seen
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register
from pyautodl.ops.reduce.common import (
    Dim,
    Ints,
    attributes,
    check_float,
    dim_errors,
    dims_samples,
    grid,
    numpy_axis,
    output,
    spread_back,
    sum_dtype,
    with_all_axes,
)

__all__ = ["LOGSUMEXP", "LOGSUMEXP_GRAD", "SUM", "SUM_TO", "summed"]

# ---- sum ----


def summed(
    x: Array, axes: Ints, keepdim: bool, dtype: Any, divisor: float
) -> KernelPlan:
    """The sum along axes, divided; the kernel sees reduced axes with size 1."""
    shape = reduced_shape(x.shape, axes, keepdim)
    full = reduced_shape(x.shape, axes, True)
    made = Made(
        shape, dtype, contiguous_strides(shape), (full, contiguous_strides(full))
    )
    return KernelPlan("sum", [seen(0, x)], [made], (), (divisor,))


def _sum_plan(x: Array, dim: Dim = None, keepdim: bool = False) -> KernelPlan:
    axes = normalize_axes("sum", dim, x.shape)
    return summed(x, axes, keepdim, sum_dtype(x), 1.0)


def _sum_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    shape = ctx.shapes[0]
    axes = normalize_axes("sum", ctx.attrs.get("dim"), shape)
    return (spread_back(call, g, shape, axes, ctx.attrs.get("keepdim", False)),)


def _sum_reference(
    x: np.ndarray[Any, Any], dim: Dim = None, keepdim: bool = False
) -> Any:
    return x.sum(axis=numpy_axis(dim), keepdims=keepdim)


def _sum_samples() -> Iterator[Sample]:
    yield from dims_samples()
    yield Sample((np.zeros((0, 3)),), {"dim": 0})
    yield Sample((np.zeros((2, 0)),), {"dim": 0})
    yield Sample((np.arange(6).reshape(2, 3),), {"dim": 1})


def _sum_errors() -> Iterator[ErrorCase]:
    yield from dim_errors("sum")


SUM = register(
    planned(
        "sum",
        _sum_plan,
        vjp=_sum_vjp,
        samples=_sum_samples,
        errors=_sum_errors,
        reference=_sum_reference,
    )
)

# ---- sum_to: what undoes broadcasting ----


def _sum_to_plan(x: Array, shape: Ints) -> Plan:
    front = x.ndim - len(shape)
    fits = front >= 0 and all(
        small in (1, n)
        for small, n in zip(shape, x.shape[max(front, 0) :], strict=False)
    )
    if not fits:
        raise ShapeError(
            f"sum_to: shape {tuple(shape)} does not broadcast to {x.shape}"
        )
    if x.shape == tuple(shape) and x.dtype is sum_dtype(x):
        return ViewPlan(x, x.shape, x.strides)
    full = (*(1,) * front, *shape)
    kinds = (sum_dtype(x), contiguous_strides(tuple(shape)))
    made = Made(tuple(shape), *kinds, (full, contiguous_strides(full)))
    return KernelPlan("sum", [seen(0, x)], [made], (), (1.0,))


def _sum_to_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    return (call("expand", g, shape=ctx.shapes[0]),)


def _sum_to_reference(x: np.ndarray[Any, Any], shape: Ints) -> Any:
    front = x.ndim - len(shape)
    axes = [i for i in range(x.ndim) if i < front or shape[i - front] != x.shape[i]]
    return x.sum(axis=tuple(axes), keepdims=True).reshape(shape)


def _sum_to_samples() -> Iterator[Sample]:
    yield Sample((grid(2, 3, 4),), {"shape": (3, 1)})
    yield Sample((grid(2, 3),), {"shape": ()})
    yield Sample((grid(2, 3),), {"shape": (2, 3)})
    yield Sample((grid(1, 3),), {"shape": (3,)})
    yield Sample((np.zeros((0, 3)),), {"shape": (1, 3)})


def _sum_to_errors() -> Iterator[ErrorCase]:
    match = r"sum_to: shape \(2,\) does not broadcast to \(2, 3\)"
    yield ErrorCase((grid(2, 3),), {"shape": (2,)}, ShapeError, match)


SUM_TO = register(
    planned(
        "sum_to",
        _sum_to_plan,
        vjp=_sum_to_vjp,
        samples=_sum_to_samples,
        errors=_sum_to_errors,
        reference=_sum_to_reference,
        view=True,
    )
)

# ---- logsumexp ----


def _logsumexp_rule(x: Array, dim: Dim, keepdim: bool = False) -> tuple[Spec, ...]:
    check_float("logsumexp", x)
    axes = normalize_axes("logsumexp", dim, x.shape)
    return (Spec(reduced_shape(x.shape, axes, keepdim), x.dtype),)


def _logsumexp_forward(
    ctx: Any, needs: Any, x: Array, dim: Dim, keepdim: bool = False
) -> Array:
    out, full = output(
        ctx, x, normalize_axes("logsumexp", dim, x.shape), keepdim, x.dtype
    )
    run("logsumexp", (x,), (full,))
    ctx.save(x, out)
    return out


def _logsumexp_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    x, out = ctx.saved
    shape, axes, keepdim = attributes(ctx)
    g, out = (with_all_axes(call, y, shape, axes, keepdim) for y in (g, out))
    return (call("logsumexp_grad", g, x, out),)


def _logsumexp_grad_vjp(call: Any, ctx: Any, needs: Any, u: Any) -> tuple[Any, ...]:
    """Of g exp(x - out)."""
    x, out, result = ctx.saved
    dg = dx = dout = None
    if needs[0]:
        dg = back(call, ctx, 0, call("logsumexp_grad", u, x, out))
    if needs[1] or needs[2]:
        both = call("grad_mul", u, result)
        dx = back(call, ctx, 1, both) if needs[1] else None
        dout = call("neg", back(call, ctx, 2, both)) if needs[2] else None
    return dg, dx, dout


def _logsumexp_reference(x: Any, dim: Dim, keepdim: bool = False) -> Any:
    axes = normalize_axes("", dim, x.shape)
    if any(x.shape[i] == 0 for i in axes):
        return np.full(reduced_shape(x.shape, axes, keepdim), -inf)
    top = x.max(axis=axes, keepdims=True)
    shift = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):
        out = np.log(np.exp(x - shift).sum(axis=axes, keepdims=True)) + shift
    return out.reshape(reduced_shape(x.shape, axes, keepdim))


def _logsumexp_samples() -> Iterator[Sample]:
    x = grid(2, 3)
    for attrs in ({"dim": 0}, {"dim": -1, "keepdim": True}, {"dim": (0, 1)}):
        yield Sample((x,), attrs)
    yield Sample((x + 1000.0,), {"dim": 1})
    special = np.array([[-np.inf, -np.inf], [np.inf, 1.0], [-np.inf, 2.0]])
    yield Sample((special,), {"dim": 1}, gradient=False)
    # infinite rows and columns of several vectors, and others
    wide = grid(80, 90)
    wide[3] = -np.inf
    wide[:, 5] = -np.inf
    wide[7, 11] = np.inf
    wide[11, 13] = np.nan
    for dim in (0, 1):
        yield Sample((wide,), {"dim": dim}, gradient=False)
    yield Sample((np.zeros((2, 0)),), {"dim": 1})
    yield Sample((30 * grid(70, 300),), {"dim": 0}, gradient=False)
    yield Sample((30 * grid(3, 5000),), {"dim": 1}, gradient=False)


def _logsumexp_errors() -> Iterator[ErrorCase]:
    yield from dim_errors("logsumexp")
    match = "logsumexp: expected a floating type"
    yield ErrorCase((np.arange(2),), {"dim": 0}, DTypeError, match)


LOGSUMEXP = register(
    Op(
        name="logsumexp",
        rule=_logsumexp_rule,
        forward=_logsumexp_forward,
        vjp=_logsumexp_vjp,
        samples=_logsumexp_samples,
        errors=_logsumexp_errors,
        reference=_logsumexp_reference,
    )
)

LOGSUMEXP_GRAD = map_op(
    "logsumexp_grad",
    "yz",
    "o",
    "o",
    vjp=_logsumexp_grad_vjp,
    gradient_of="logsumexp",
)
