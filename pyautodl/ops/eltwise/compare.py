"""Comparisons, logic, bits, and the choice between two operands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pyautodl.backends import Array, constant, run
from pyautodl.backends.dtypes import BOOLEAN, bool_
from pyautodl.errors import DTypeError, ShapeError
from pyautodl.ops.eltwise.mapping import (
    INTS,
    WHOLE,
    back,
    bool_op,
    broadcast_layout,
    map_op,
)
from pyautodl.ops.record import ErrorCase, Op, Sample, Spec, register

__all__ = ["BITS", "COMPARISONS", "LOGIC", "WHERE", "ZERO_WHERE"]

COMPARISONS = {name: bool_op(name, 2) for name in ("eq", "ne", "lt", "le", "gt", "ge")}
LOGIC = {
    name: bool_op(name, 2) for name in ("logical_and", "logical_or", "logical_xor")
}
BITS = {
    **{
        name: map_op(name, "", "", vjp=None, takes=WHOLE)
        for name in ("bitwise_and", "bitwise_or", "bitwise_xor")
    },
    **{
        name: map_op(name, "", "", vjp=None, takes=INTS)
        for name in ("bitwise_left_shift", "bitwise_right_shift")
    },
}


# ---- where ----


def _check_condition(name: str, condition: Array) -> None:
    if condition.dtype is not bool_:
        raise DTypeError(
            f"{name}: expected a bool condition, got {condition.dtype.name} "
            f"(shape {condition.shape}); use .bool()"
        )


def _where_rule(condition: Array, x: Array, y: Array) -> tuple[Spec, ...]:
    _check_condition("where", condition)
    if x.dtype is not y.dtype:
        raise DTypeError(
            f"where: expected operands of one element type, got {x.dtype.name} "
            f"{x.shape}, {y.dtype.name} {y.shape}"
        )
    return (Spec(broadcast_layout("where", (x, y, condition))[0], x.dtype),)


def _where_forward(ctx: Any, needs: Any, condition: Array, x: Array, y: Array) -> Array:
    shape, strides = broadcast_layout("where", (x, y, condition))
    out: Array = ctx.empty(shape, x.dtype, strides)
    run("where", (x, y, condition), (out,))
    if needs[1] or needs[2]:
        ctx.save(condition)
    return out


def _where_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    (condition,) = ctx.saved
    gx = gy = None
    if needs[1]:
        gx = back(call, ctx, 1, call("zero_where", g, condition, invert=True))
    if needs[2]:
        gy = back(call, ctx, 2, call("zero_where", g, condition, invert=False))
    return None, gx, gy


def _where_samples() -> Iterator[Sample]:
    rng = np.random.default_rng(3)
    for shapes in (
        ((2, 3), (2, 3), (2, 3)),
        ((3,), (2, 3), ()),
        ((2, 1), (3,), (1, 1)),
        ((0, 3), (3,), (0, 1)),
    ):
        c, x, y = (rng.standard_normal(shape) for shape in shapes)
        yield Sample((c > 0, x, y))
    c, x, y = (rng.standard_normal((2, 530)) for _ in range(3))
    x[0, :2], y[1, :2] = np.nan, np.inf
    yield Sample((c > 0, x, y), gradient=False)
    yield Sample((c[:, :1] > 0, np.arange(3), np.arange(3, 0, -1)), gradient=False)
    yield Sample((c[0, :3] > 0, np.ones(3, bool), np.zeros(3, bool)), gradient=False)


def _where_errors() -> Iterator[ErrorCase]:
    c, x = np.ones(3, bool), np.zeros(3)
    yield ErrorCase((x, x, x), {}, DTypeError, "where: expected a bool condition, got")
    match = "where: expected operands of one element type"
    yield ErrorCase((c, x, np.zeros(3, np.int64)), {}, DTypeError, match)
    match = "where: shapes do not broadcast"
    yield ErrorCase((c, x, np.zeros(2)), {}, ShapeError, match)


WHERE = register(
    Op(
        name="where",
        rule=_where_rule,
        forward=_where_forward,
        vjp=_where_vjp,
        samples=_where_samples,
        errors=_where_errors,
        elementwise=True,
    )
)


# ---- zero_where: 0 where the condition holds, else x ----


def _zero_where_rule(x: Array, condition: Array, invert: bool) -> tuple[Spec, ...]:
    _check_condition("zero_where", condition)
    if x.dtype.category == BOOLEAN:
        raise DTypeError(f"zero_where: expected numbers, got bool (shape {x.shape})")
    return (Spec(broadcast_layout("zero_where", (x, condition))[0], x.dtype),)


def _zero_where_forward(
    ctx: Any, needs: Any, x: Array, condition: Array, invert: bool
) -> Array:
    shape, strides = broadcast_layout("zero_where", (x, condition))
    out: Array = ctx.empty(shape, x.dtype, strides)
    zero = constant(0, x.dtype)
    run("where", (x, zero, condition) if invert else (zero, x, condition), (out,))
    if needs[0]:
        ctx.save(condition)
    return out


def _zero_where_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    if not needs[0]:
        return None, None
    (condition,) = ctx.saved
    return back(call, ctx, 0, call("zero_where", g, condition, **ctx.attrs)), None


def _zero_where_samples() -> Iterator[Sample]:
    rng = np.random.default_rng(4)
    x = rng.standard_normal((2, 3))
    for invert in (False, True):
        yield Sample((x, x > 0), {"invert": invert})
        yield Sample((x[0], x[:, :1] > 0), {"invert": invert})
        yield Sample((np.zeros((0, 3)), x[0] > 0), {"invert": invert})
    bad = np.array([np.nan, np.inf, 1.0])
    yield Sample((bad, np.array([True, True, False])), {"invert": False}, False)


def _zero_where_errors() -> Iterator[ErrorCase]:
    x, attrs = np.zeros(3), {"invert": False}
    yield ErrorCase((x, x), attrs, DTypeError, "zero_where: expected a bool condition")
    match = "zero_where: expected numbers, got bool"
    yield ErrorCase((x > 0, x > 0), attrs, DTypeError, match)
    match = "zero_where: shapes do not broadcast"
    yield ErrorCase((x, np.ones(2, bool)), attrs, ShapeError, match)


ZERO_WHERE = register(
    Op(
        name="zero_where",
        rule=_zero_where_rule,
        forward=_zero_where_forward,
        vjp=_zero_where_vjp,
        samples=_zero_where_samples,
        errors=_zero_where_errors,
        elementwise=True,
    )
)
