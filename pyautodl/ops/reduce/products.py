"""Products."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pyautodl.backends import Array, run
from pyautodl.ops.axes import normalize_axes, reduced_shape
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register
from pyautodl.ops.reduce.common import attributes, grid, output, spread_back, sum_dtype
from pyautodl.ops.reduce.scans import shifted

__all__ = ["PROD"]


def _prod_rule(
    x: Array, dim: int | None = None, keepdim: bool = False
) -> tuple[Spec, ...]:
    axes = normalize_axes("prod", dim, x.shape)
    return (Spec(reduced_shape(x.shape, axes, keepdim), sum_dtype(x)),)


def _prod_forward(
    ctx: Any, needs: Any, x: Array, dim: int | None = None, keepdim: bool = False
) -> Array:
    axes = normalize_axes("prod", dim, x.shape)
    out, full = output(ctx, x, axes, keepdim, sum_dtype(x))
    run("prod", (x,), (full,))
    ctx.save(x)
    return out


def _prod_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    """Each element's factor is the product of those before and after: no division."""
    (x,) = ctx.saved
    shape, axes, keepdim = attributes(ctx)
    spread = spread_back(call, g, shape, axes, keepdim)
    line = x if len(axes) == 1 else call("reshape", x, shape=(-1,))
    axis = axes[0] if len(axes) == 1 else 0
    after = call(
        "flip", _before(call, call("flip", line, dims=(axis,)), axis), dims=(axis,)
    )
    others = call("reshape", call("mul", _before(call, line, axis), after), shape=shape)
    return (call("grad_mul", spread, others),)


def _before(call: Any, x: Any, axis: int) -> Any:
    """The product of all elements before each one."""
    return shifted(call, call("cumprod", x, dim=axis), axis, 1.0)


def _prod_reference(x: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    return x.prod(axis=dim, keepdims=keepdim)


def _prod_samples() -> Iterator[Sample]:
    x = grid(2, 3)
    for attrs in ({}, {"dim": 0}, {"dim": -1, "keepdim": True}):
        yield Sample((x,), attrs)
    yield Sample((np.array([2.0, 0.0, 3.0, 4.0]),), {})
    yield Sample((np.array([[0.0, 2.0], [0.0, 3.0]]),), {"dim": 0})
    yield Sample((np.zeros((0, 2)),), {"dim": 0})
    yield Sample((np.array(1.5),), {})
    yield Sample((1 + 0.01 * grid(3, 500),), {"dim": 1}, gradient=False)
    yield Sample((1 + 0.01 * grid(70, 40),), {"dim": 0}, gradient=False)


def _prod_errors() -> Iterator[ErrorCase]:
    yield ErrorCase((grid(2),), {"dim": 1}, IndexError, "prod: dim must be from -1")


PROD = register(
    Op(
        name="prod",
        rule=_prod_rule,
        forward=_prod_forward,
        vjp=_prod_vjp,
        samples=_prod_samples,
        errors=_prod_errors,
        reference=_prod_reference,
    )
)
