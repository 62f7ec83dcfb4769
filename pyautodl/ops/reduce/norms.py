"""Norms."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf, isinf
from typing import Any

import numpy as np

from pyautodl.backends import Array, empty, run
from pyautodl.errors import DTypeError
from pyautodl.ops.axes import normalize_axes, reduced_shape
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register
from pyautodl.ops.reduce.common import (
    Dim,
    attributes,
    check_filled,
    check_float,
    grid,
    numpy_axis,
    output,
    shared_by_ties,
    with_all_axes,
)

__all__ = ["NORM"]


def _norm_rule(
    x: Array, p: float = 2.0, dim: Dim = None, keepdim: bool = False
) -> tuple[Spec, ...]:
    check_float("norm", x)
    axes = normalize_axes("norm", dim, x.shape)
    if p < 0 and not isinf(p):
        raise ValueError(f"norm: p must be -inf or from 0 to inf, got {p}")
    if isinf(p):
        check_filled("norm", x, axes)
    return (Spec(reduced_shape(x.shape, axes, keepdim), x.dtype),)


def _norm_forward(
    ctx: Any,
    needs: Any,
    x: Array,
    p: float = 2.0,
    dim: Dim = None,
    keepdim: bool = False,
) -> Array:
    out, full = output(ctx, x, normalize_axes("norm", dim, x.shape), keepdim, x.dtype)
    if isinf(p):
        size = empty(x.shape, x.dtype)
        run("abs", (x,), (size,))
        run("amax" if p > 0 else "amin", (size,), (full,))
    else:
        run("norm", (x,), (full,), (), (float(p),))
    ctx.save(x, out)
    return out


def _norm_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    """Where the norm is 0 so is the gradient."""
    x, norm = ctx.saved
    p = ctx.attrs.get("p", 2.0)
    shape, axes, keepdim = attributes(ctx)
    g, norm = (with_all_axes(call, y, shape, axes, keepdim) for y in (g, norm))
    if p == 0:
        return (None,)
    if isinf(p):
        part = shared_by_ties(call, g, call("abs", x), norm, axes)
        return (call("grad_mul", part, call("sign", x)),)
    if p == 1:
        return (call("grad_mul", call("expand", g, shape=shape), call("sign", x)),)
    if p == 2:
        return (call("norm_grad", g, x, norm),)
    # x / norm before its power, as norm_grad
    flat = call("eq", norm, 0.0)
    one = call("full", shape=(), value=1.0, dtype=x.dtype)
    unit = call("div", x, call("where", flat, one, norm))
    part = call("expand", call("zero_where", g, flat, invert=False), shape=shape)
    power = call("mul", call("pow", call("abs", unit), p - 1.0), call("sign", unit))
    slope = call("zero_where", power, call("eq", unit, 0.0), invert=False)
    return (call("grad_mul", part, slope),)


def _norm_reference(
    x: Any, p: float = 2.0, dim: Dim = None, keepdim: bool = False
) -> Any:
    size = np.abs(x)
    axis = numpy_axis(dim)
    if isinf(p):
        best = np.max if p > 0 else np.min
        return best(size, axis=axis, keepdims=keepdim)
    powers = (size != 0).astype(x.dtype) if p == 0 else size**p
    total = powers.sum(axis=axis, keepdims=keepdim)
    return total if p == 0 else total ** (1 / p)


def _norm_samples() -> Iterator[Sample]:
    x = grid(2, 3)
    for p in (2.0, 1.0, 3.0, 1.5, inf, -inf):
        yield Sample((x,), {"p": p})
        yield Sample((x,), {"p": p, "dim": 1, "keepdim": True})
        yield Sample((grid(70, 300),), {"p": p, "dim": 0}, gradient=False)
        yield Sample((grid(3, 5000),), {"p": p, "dim": 1}, gradient=False)
    yield Sample((np.array([0.0, 2.0, 3.0]),), {"p": 0.0}, gradient=False)
    yield Sample((np.zeros((0, 3)),), {"dim": 0})
    yield Sample((np.array(-1.5),), {})


def _norm_errors() -> Iterator[ErrorCase]:
    yield ErrorCase(
        (grid(2),), {"p": -1.0}, ValueError, "norm: p must be -inf or from 0"
    )
    yield ErrorCase((grid(2),), {"dim": 1}, IndexError, "norm: dim must be")
    yield ErrorCase((np.arange(2),), {}, DTypeError, "norm: expected a floating type")


NORM = register(
    Op(
        name="norm",
        rule=_norm_rule,
        forward=_norm_forward,
        vjp=_norm_vjp,
        samples=_norm_samples,
        errors=_norm_errors,
        reference=_norm_reference,
    )
)
