"""Arithmetic of two and three operands, and the products that gradients are made of."""

from __future__ import annotations

from typing import Any

from pyautodl.backends import Array, run
from pyautodl.ops.eltwise.mapping import (
    ANY,
    NUMBERS,
    back,
    broadcast_layout,
    map_op,
)

__all__ = [
    "ADD",
    "ADDCDIV",
    "ADDCMUL",
    "ADD_SCALED",
    "ATAN2",
    "COPYSIGN",
    "DIV",
    "DIV_TRUNC",
    "FLOOR_DIVIDE",
    "FMAX",
    "FMIN",
    "FMOD",
    "GRAD_DIV",
    "GRAD_MUL",
    "HYPOT",
    "LERP",
    "MAXIMUM",
    "MAXIMUM_GRAD",
    "MINIMUM",
    "MUL",
    "NORM_GRAD",
    "POW",
    "REMAINDER",
    "SUB",
]

_POSITIVE = (0.5, 2.0)


# ---- products with a gradient: 0 where g is 0 ----


def _grad_mul_vjp(call: Any, ctx: Any, needs: Any, gg: Any) -> tuple[Any, ...]:
    g, d = ctx.saved
    first = back(call, ctx, 0, call("grad_mul", gg, d)) if needs[0] else None
    return first, back(call, ctx, 1, call("grad_mul", gg, g)) if needs[1] else None


GRAD_MUL = map_op("grad_mul", "y", "x", vjp=_grad_mul_vjp, gradient_of="mul")


def _grad_div_vjp(call: Any, ctx: Any, needs: Any, gg: Any) -> tuple[Any, ...]:
    g, d = ctx.saved
    first = back(call, ctx, 0, call("grad_div", gg, d)) if needs[0] else None
    if not needs[1]:
        return first, None
    both = call("grad_mul", gg, call("grad_div", g, d))
    return first, back(call, ctx, 1, call("neg", call("grad_div", both, d)))


GRAD_DIV = map_op(
    "grad_div",
    "y",
    "xy",
    vjp=_grad_div_vjp,
    gradient_of="div",
    domain=[(-2, 2), _POSITIVE],
)


def _norm_grad_vjp(call: Any, ctx: Any, needs: Any, gg: Any) -> tuple[Any, ...]:
    g, x, norm = ctx.saved
    first = back(call, ctx, 0, call("norm_grad", gg, x, norm)) if needs[0] else None
    second = back(call, ctx, 1, call("norm_grad", gg, g, norm)) if needs[1] else None
    if not needs[2]:
        return first, second, None
    both = call("grad_mul", gg, call("norm_grad", g, x, norm))
    share = call("norm_grad", both, 1.0, norm)
    return first, second, back(call, ctx, 2, call("neg", share))


NORM_GRAD = map_op(
    "norm_grad",
    "yz",
    "xz",
    "xyz",
    vjp=_norm_grad_vjp,
    gradient_of="norm",
    domain=[(-2, 2), (-2, 2), _POSITIVE],
)


# ---- sums and products ----


def _add_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    return (
        back(call, ctx, 0, g) if needs[0] else None,
        back(call, ctx, 1, g) if needs[1] else None,
    )


def _sub_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    return (
        back(call, ctx, 0, g) if needs[0] else None,
        call("neg", back(call, ctx, 1, g)) if needs[1] else None,
    )


def _add_scaled_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    gx = back(call, ctx, 0, g) if needs[0] else None
    if not needs[1]:
        return gx, None
    return gx, call("mul", back(call, ctx, 1, g), float(ctx.attrs["alpha"]))


def _mul_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    x, y = ctx.saved
    gx = back(call, ctx, 0, call("grad_mul", g, y)) if needs[0] else None
    return gx, back(call, ctx, 1, call("grad_mul", g, x)) if needs[1] else None


def _div_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    x, y = ctx.saved
    part = call("grad_div", g, y)
    gx = back(call, ctx, 0, part) if needs[0] else None
    if not needs[1]:
        return gx, None
    # by inputs alone, so that the quotient may be changed in place; the second division
    # comes after the sum over the axes along which y is repeated
    total = back(call, ctx, 1, call("grad_mul", part, x))
    return gx, call("neg", call("grad_div", total, y))


ADD = map_op("add", "", "", vjp=_add_vjp, takes=ANY)
SUB = map_op("sub", "", "", vjp=_sub_vjp, takes=NUMBERS)
ADD_SCALED = map_op(
    "add_scaled",
    "",
    "",
    vjp=_add_scaled_vjp,
    takes=NUMBERS,
    cases=({"alpha": 3},),
)
MUL = map_op("mul", "y", "x", vjp=_mul_vjp, takes=ANY)
DIV = map_op("div", "y", "xy", vjp=_div_vjp, domain=[(-2, 2), _POSITIVE])


# ---- division to whole numbers ----


def _make_division(name: str) -> Any:
    def forward(ctx: Any, needs: Any, x: Array, y: Array) -> Array:
        shape, strides = broadcast_layout(name, (x, y))
        out: Array = ctx.empty(shape, x.dtype, strides)
        try:
            run(name, (x, y), (out,))
        except ValueError:
            raise ZeroDivisionError(
                f"{name}: an integer tensor is divided by 0: {x.dtype.name} {x.shape}, "
                f"{y.shape}"
            ) from None
        if needs[1] and name in ("remainder", "fmod"):
            ctx.save(x, y)
        return out

    return forward


def _flat_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    zeros = call("zeros_like", g)
    return (
        back(call, ctx, 0, zeros) if needs[0] else None,
        back(call, ctx, 1, zeros) if needs[1] else None,
    )


def _make_rest_vjp(whole: str) -> Any:
    """x - whole(x, y) y"""

    def vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
        gx = back(call, ctx, 0, g) if needs[0] else None
        if not needs[1]:
            return gx, None
        x, y = ctx.saved
        part = call("grad_mul", g, call("neg", call(whole, x, y)))
        return gx, back(call, ctx, 1, part)

    return vjp


_TURNS = [(3.1, 3.9), (1.05, 1.45)]
FLOOR_DIVIDE, DIV_TRUNC, REMAINDER, FMOD = (
    map_op(
        name,
        *keeps,
        vjp=vjp,
        takes=NUMBERS,
        domain=_TURNS,
        forward=_make_division(name),
    )
    for name, keeps, vjp in (
        ("floor_divide", ("", ""), _flat_vjp),
        ("div_trunc", ("", ""), _flat_vjp),
        ("remainder", ("", "xy"), _make_rest_vjp("floor_divide")),
        ("fmod", ("", "xy"), _make_rest_vjp("div_trunc")),
    )
)


# ---- the greater and the smaller ----


def _maximum_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    x, y = ctx.saved
    gx = back(call, ctx, 0, call("maximum_grad", g, x, y)) if needs[0] else None
    gy = back(call, ctx, 1, call("maximum_grad", g, y, x)) if needs[1] else None
    return gx, gy


def _minimum_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    x, y = ctx.saved
    gx = back(call, ctx, 0, call("maximum_grad", g, y, x)) if needs[0] else None
    gy = back(call, ctx, 1, call("maximum_grad", g, x, y)) if needs[1] else None
    return gx, gy


def _maximum_grad_vjp(call: Any, ctx: Any, needs: Any, gg: Any) -> tuple[Any, ...]:
    x, y = ctx.saved
    first = back(call, ctx, 0, call("maximum_grad", gg, x, y)) if needs[0] else None
    zeros = call("zeros_like", gg)
    return (
        first,
        back(call, ctx, 1, zeros) if needs[1] else None,
        back(call, ctx, 2, zeros) if needs[2] else None,
    )


def _make_fmax_vjp(first_wins: str) -> Any:
    def vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
        """All to the first at a tie, or where the second is NaN."""
        x, y = ctx.saved
        first = call("logical_or", call(first_wins, x, y), call("isnan", y))
        gx = gy = None
        if needs[0]:
            gx = back(call, ctx, 0, call("zero_where", g, first, invert=True))
        if needs[1]:
            gy = back(call, ctx, 1, call("zero_where", g, first, invert=False))
        return gx, gy

    return vjp


MAXIMUM = map_op("maximum", "xy", "xy", vjp=_maximum_vjp, takes=ANY)
MINIMUM = map_op("minimum", "xy", "xy", vjp=_minimum_vjp, takes=ANY)
MAXIMUM_GRAD = map_op(
    "maximum_grad", "yz", "yz", "yz", vjp=_maximum_grad_vjp, gradient_of="maximum"
)
FMAX = map_op("fmax", "xy", "xy", vjp=_make_fmax_vjp("ge"))
FMIN = map_op("fmin", "xy", "xy", vjp=_make_fmax_vjp("le"))


# ---- powers and angles ----


def _pow_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    """No logarithm unless the exponent wants a gradient; 0 ** y has none there."""
    x, y, out = ctx.saved
    gx = gy = None
    if needs[0]:
        slope = call("mul", y, call("pow", x, call("sub", y, 1.0)))
        part = call("grad_mul", g, slope)
        flat = call("eq", y, 0.0)
        gx = back(call, ctx, 0, call("zero_where", part, flat, invert=False))
    if needs[1]:
        part = call("grad_mul", g, call("mul", out, call("log", x)))
        flat = call("logical_and", call("eq", x, 0.0), call("ge", y, 0.0))
        gy = back(call, ctx, 1, call("zero_where", part, flat, invert=False))
    return gx, gy


def _atan2_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    """x / (x^2 + y^2) and -y / (x^2 + y^2), 0 where both are 0.

    Both are divided by the larger first: their squares may over- or underflow.
    """
    y, x = ctx.saved
    larger = call("maximum", call("abs", x), call("abs", y))
    part = call("grad_div", g, larger)
    part = call("zero_where", part, call("eq", larger, 0.0), invert=False)
    x, y = call("div", x, larger), call("div", y, larger)
    size = call("add", call("square", x), call("square", y))
    gy = gx = None
    if needs[0]:
        gy = back(call, ctx, 0, call("grad_mul", part, call("div", x, size)))
    if needs[1]:
        slope = call("neg", call("div", y, size))
        gx = back(call, ctx, 1, call("grad_mul", part, slope))
    return gy, gx


POW = map_op(
    "pow",
    "xy",
    "xyo",
    vjp=_pow_vjp,
    takes=NUMBERS,
    domain=[_POSITIVE, (0.1, 3)],
)
ATAN2 = map_op("atan2", "xy", "xy", vjp=_atan2_vjp, kinks=(0,))


def _hypot_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    x, y, out = ctx.saved
    gx = back(call, ctx, 0, call("norm_grad", g, x, out)) if needs[0] else None
    return gx, back(call, ctx, 1, call("norm_grad", g, y, out)) if needs[1] else None


HYPOT = map_op("hypot", "xo", "yo", vjp=_hypot_vjp, kinks=(0,))


def _copysign_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    x, y = ctx.saved
    gx = back(call, ctx, 0, call("copysign_grad", g, x, y)) if needs[0] else None
    return gx, call("zeros_like", y) if needs[1] else None


def _copysign_grad_vjp(call: Any, ctx: Any, needs: Any, gg: Any) -> tuple[Any, ...]:
    x, y = ctx.saved
    first = None
    if needs[0]:
        first = back(call, ctx, 0, call("copysign_grad", gg, x, y))
    return (
        first,
        call("zeros_like", x) if needs[1] else None,
        call("zeros_like", y) if needs[2] else None,
    )


COPYSIGN = map_op("copysign", "xy", "y", vjp=_copysign_vjp, kinks=(0,))
COPYSIGN_GRAD = map_op(
    "copysign_grad",
    "yz",
    "y",
    "z",
    vjp=_copysign_grad_vjp,
    kinks=(0,),
    gradient_of="copysign",
)


# ---- three operands ----


def _lerp_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    start, end, weight = ctx.saved
    found: list[Any] = [None, None, None]
    if needs[0]:
        found[0] = call("grad_mul", g, call("sub", 1.0, weight))
    if needs[1]:
        found[1] = call("grad_mul", g, weight)
    if needs[2]:
        found[2] = call("grad_mul", g, call("sub", end, start))
    return tuple(
        None if part is None else back(call, ctx, i, part)
        for i, part in enumerate(found)
    )


def _addcmul_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    a, b = ctx.saved
    value = float(ctx.attrs["value"])
    gx = back(call, ctx, 0, g) if needs[0] else None
    ga = gb = None
    if needs[1]:
        ga = back(call, ctx, 1, call("grad_mul", g, call("mul", b, value)))
    if needs[2]:
        gb = back(call, ctx, 2, call("grad_mul", g, call("mul", a, value)))
    return gx, ga, gb


def _addcdiv_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    a, b = ctx.saved
    gx = back(call, ctx, 0, g) if needs[0] else None
    if not (needs[1] or needs[2]):
        return gx, None, None
    part = call("mul", call("grad_div", g, b), float(ctx.attrs["value"]))
    ga = back(call, ctx, 1, part) if needs[1] else None
    if not needs[2]:
        return gx, ga, None
    gb = call("grad_div", call("grad_mul", part, call("neg", a)), b)
    return gx, ga, back(call, ctx, 2, gb)


LERP = map_op("lerp", "z", "z", "xy", vjp=_lerp_vjp, domain=[(-2, 2), (-2, 2), (0, 1)])
ADDCMUL = map_op("addcmul", "", "z", "y", vjp=_addcmul_vjp, cases=({"value": 0.7},))
ADDCDIV = map_op(
    "addcdiv",
    "",
    "z",
    "yz",
    vjp=_addcdiv_vjp,
    cases=({"value": 0.7},),
    domain=[(-2, 2), (-2, 2), _POSITIVE],
)
