"""Functions of statistics and of windows: the gamma function's kin, Bessel functions."""

from __future__ import annotations

import math
from typing import Any

from pyautodl.ops.eltwise.mapping import map_op
from pyautodl.ops.record import Op

__all__ = ["GAMMA_SLOPE", "SPECIAL"]

# by which numbers the kernel knows them, as csrc/math/special.h
_KINDS = (
    "lgamma",
    "digamma",
    "polygamma",
    "erfinv",
    "ndtri",
    "i0",
    "i0e",
    "i1",
    "i1e",
    "sinc",
    "sinc_slope",
)
_INF, _NAN = math.inf, math.nan

# name -> the op
SPECIAL: dict[str, Op] = {}


def _lgamma(call: Any, x: Any) -> Any:
    return call("digamma", x)


def _digamma(call: Any, x: Any) -> Any:
    return call("polygamma", x, n=1)


def _erfinv(call: Any, y: Any) -> Any:
    return call("mul", call("exp", call("square", y)), math.sqrt(math.pi) / 2)


def _ndtri(call: Any, y: Any) -> Any:
    bell = call("exp", call("mul", call("square", y), 0.5))
    return call("mul", bell, math.sqrt(2 * math.pi))


def _i0(call: Any, x: Any) -> Any:
    return call("i1", x)


def _i1_over_x(call: Any, i1: Any, x: Any) -> Any:
    """What goes to 1/2 at 0."""
    half = call("full", shape=(), value=0.5, dtype=x.dtype)
    return call("where", call("eq", x, 0.0), half, call("div", i1, x))


def _i1(call: Any, x: Any) -> Any:
    return call("sub", call("i0", x), _i1_over_x(call, call("i1", x), x))


def _i0e(call: Any, x: Any) -> Any:
    return call("sub", call("i1e", x), call("mul", call("sign", x), call("i0e", x)))


def _i1e(call: Any, x: Any) -> Any:
    i1e = call("i1e", x)
    rest = call("add", call("mul", call("sign", x), i1e), _i1_over_x(call, i1e, x))
    return call("sub", call("i0e", x), rest)


def _sinc(call: Any, x: Any) -> Any:
    return call("sinc_slope", x)


# the second derivative of sin(u) / u as a sum of powers of u * u, exact up to u = 1/2
_BEND = tuple(
    (-1) ** k * 2 * k * (2 * k - 1) / math.factorial(2 * k + 1) for k in range(1, 9)
)


def _sinc_slope(call: Any, x: Any) -> Any:
    """-pi^2 sinc(x) - 2 sinc'(x) / x, of differentiable ops, and a sum near 0."""
    u = call("mul", x, math.pi)
    near = call("lt", call("abs", u), 0.5)
    square = call("zero_where", call("square", u), near, invert=True)
    sums = call("add", call("mul", square, _BEND[-1]), _BEND[-2])
    for factor in _BEND[-3::-1]:
        sums = call("add", call("mul", sums, square), factor)
    one = call("full", shape=(), value=1.0, dtype=x.dtype)
    far = call("where", near, one, x)
    back = call("mul", call("div", call("sinc_slope", far), far), 2 / math.pi**2)
    beyond = call("neg", call("add", call("sinc", far), back))
    return call("mul", call("where", near, sums, beyond), math.pi**2)


def _function(
    name: str,
    keep: str,
    slope: Any,
    domain: tuple[float, float],
    kinks: tuple[float, ...] = (),
    special: tuple[float, ...] = (0.0, 0.5, _INF, _NAN),
) -> None:
    def vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
        return (call("grad_mul", g, slope(call, ctx.saved[0])),)

    SPECIAL[name] = map_op(
        name,
        keep,
        vjp=vjp,
        kernel="special",
        params=None,
        floats=(float(_KINDS.index(name)), 0.0),
        domain=domain,
        kinks=kinks,
        special=special,
    )


_function("lgamma", "x", _lgamma, (0.2, 6), special=(-1.0, -2.5, 1.0, _INF, _NAN))
_function("digamma", "x", _digamma, (0.2, 6), special=(0.0, -0.0, -2.5, _INF, _NAN))
_function("erfinv", "o", _erfinv, (-0.9, 0.9), special=(1.0, -1.0, 1.5, 0.0, _NAN))
_function("ndtri", "o", _ndtri, (0.1, 0.9), special=(1.0, 0.0, -0.5, 0.5, _NAN))
_function("i0", "x", _i0, (-4, 4))
_function("i0e", "x", _i0e, (-4, 4), (0,))
_function("i1", "x", _i1, (-4, 4))
_function("i1e", "x", _i1e, (-4, 4), (0,))
_function("sinc", "x", _sinc, (-2, 2))
_function("sinc_slope", "x", _sinc_slope, (-2, 2))


def _polygamma_params(n: int) -> tuple[float, float]:
    return float(_KINDS.index("polygamma")), float(n)


def _polygamma_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    (x,) = ctx.saved
    return (call("grad_mul", g, call("polygamma", x, n=ctx.attrs["n"] + 1)),)


SPECIAL["polygamma"] = map_op(
    "polygamma",
    "x",
    vjp=_polygamma_vjp,
    kernel="special",
    params=_polygamma_params,
    cases=({"n": 1}, {"n": 2}, {"n": 5}),
    domain=(0.5, 6),
    special=(-1.0, -2.5, 0.25, _INF, _NAN),
)

# d log(x) / d shape of a gamma-distributed x; the operands are shape and log(x)
GAMMA_SLOPE = map_op(
    "gamma_slope",
    "",
    "",
    vjp=None,
    domain=[(0.2, 9.0), (-2.0, 2.5)],
)
