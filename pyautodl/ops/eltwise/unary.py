"""Functions of one operand and their derivatives."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from pyautodl.backends import Array, constant, empty, run
from pyautodl.ops.eltwise.mapping import ANY, FLOATS, NUMBERS, WHOLE, bool_op, map_op
from pyautodl.ops.record import Op

__all__ = ["LOGIT", "MATH", "NAN_TO_NUM", "POW_SCALAR", "TESTS"]

# name -> the op
MATH: dict[str, Op] = {}

_INF, _NAN = math.inf, math.nan
_EVERYWHERE = (0.0, -0.0, 0.5, -1.5, 2.5, _INF, -_INF, _NAN)

# slope(call, g, saved): the gradient of the operand
Slope = Callable[[Any, Any, Any], Any]


def _function(
    name: str,
    keep: str,
    slope: Slope,
    *,
    domain: tuple[float, float] = (-2.0, 2.0),
    takes: tuple[int, ...] = FLOATS,
    kinks: Sequence[float] = (),
) -> None:
    def vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
        return (slope(call, g, ctx.saved[0] if keep else None),)

    MATH[name] = map_op(
        name,
        keep,
        vjp=vjp,
        takes=takes,
        domain=domain,
        kinks=kinks,
        special=_EVERYWHERE,
    )


# ---- derivatives: x is the operand, y the result ----


def _zero(call: Any, g: Any, _: Any) -> Any:
    return call("zeros_like", g)


def _pass(call: Any, g: Any, _: Any) -> Any:
    return call("alias", g)


def _neg(call: Any, g: Any, _: Any) -> Any:
    return call("neg", g)


def _abs(call: Any, g: Any, x: Any) -> Any:
    return call("grad_mul", g, call("sign", x))


def _square(call: Any, g: Any, x: Any) -> Any:
    return call("grad_mul", g, call("mul", x, 2.0))


def _sqrt(call: Any, g: Any, y: Any) -> Any:
    return call("grad_div", g, call("mul", y, 2.0))


def _rsqrt(call: Any, g: Any, y: Any) -> Any:
    cube = call("mul", call("square", y), y)
    return call("grad_mul", g, call("mul", cube, -0.5))


def _reciprocal(call: Any, g: Any, y: Any) -> Any:
    return call("grad_mul", g, call("neg", call("square", y)))


def _exp(call: Any, g: Any, y: Any) -> Any:
    return call("grad_mul", g, y)


def _exp2(call: Any, g: Any, y: Any) -> Any:
    return call("grad_mul", g, call("mul", y, math.log(2)))


def _expm1(call: Any, g: Any, y: Any) -> Any:
    return call("grad_mul", g, call("add", y, 1.0))


def _log(call: Any, g: Any, x: Any) -> Any:
    return call("grad_div", g, x)


def _log1p(call: Any, g: Any, x: Any) -> Any:
    return call("grad_div", g, call("add", x, 1.0))


def _log2(call: Any, g: Any, x: Any) -> Any:
    return call("grad_div", g, call("mul", x, math.log(2)))


def _log10(call: Any, g: Any, x: Any) -> Any:
    return call("grad_div", g, call("mul", x, math.log(10)))


def _sin(call: Any, g: Any, x: Any) -> Any:
    return call("grad_mul", g, call("cos", x))


def _cos(call: Any, g: Any, x: Any) -> Any:
    return call("grad_mul", g, call("neg", call("sin", x)))


def _tan(call: Any, g: Any, y: Any) -> Any:
    return call("grad_mul", g, call("add", call("square", y), 1.0))


def _asin(call: Any, g: Any, x: Any) -> Any:
    return call("grad_mul", g, call("rsqrt", call("sub", 1.0, call("square", x))))


def _acos(call: Any, g: Any, x: Any) -> Any:
    return call("neg", _asin(call, g, x))


def _atan(call: Any, g: Any, x: Any) -> Any:
    return call("grad_div", g, call("add", call("square", x), 1.0))


def _sinh(call: Any, g: Any, x: Any) -> Any:
    return call("grad_mul", g, call("cosh", x))


def _cosh(call: Any, g: Any, x: Any) -> Any:
    return call("grad_mul", g, call("sinh", x))


def _tanh(call: Any, g: Any, y: Any) -> Any:
    return call("tanh_grad", g, y)


def _asinh(call: Any, g: Any, x: Any) -> Any:
    return call("grad_mul", g, call("rsqrt", call("add", call("square", x), 1.0)))


def _acosh(call: Any, g: Any, x: Any) -> Any:
    return call("grad_mul", g, call("rsqrt", call("sub", call("square", x), 1.0)))


def _atanh(call: Any, g: Any, x: Any) -> Any:
    return call("grad_div", g, call("sub", 1.0, call("square", x)))


def _sigmoid(call: Any, g: Any, y: Any) -> Any:
    return call("sigmoid_grad", g, y)


def _erf(call: Any, g: Any, x: Any) -> Any:
    bell = call("exp", call("neg", call("square", x)))
    return call("grad_mul", g, call("mul", bell, 2 / math.sqrt(math.pi)))


def _erfc(call: Any, g: Any, x: Any) -> Any:
    return call("neg", _erf(call, g, x))


_function("neg", "", _neg, takes=NUMBERS)
_function("abs", "x", _abs, takes=NUMBERS, kinks=(0,))
_function("sign", "", _zero, takes=NUMBERS, kinks=(0,))
_function("square", "x", _square, takes=NUMBERS)
_function("sqrt", "o", _sqrt, domain=(0.5, 4))
_function("rsqrt", "o", _rsqrt, domain=(0.5, 4))
_function("reciprocal", "o", _reciprocal, domain=(0.5, 4))
_function("exp", "o", _exp)
_function("exp2", "o", _exp2)
_function("expm1", "o", _expm1)
_function("log", "x", _log, domain=(0.5, 4))
_function("log1p", "x", _log1p, domain=(-0.5, 4))
_function("log2", "x", _log2, domain=(0.5, 4))
_function("log10", "x", _log10, domain=(0.5, 4))
_function("sin", "x", _sin, domain=(-9, 9))
_function("cos", "x", _cos, domain=(-9, 9))
_function("tan", "o", _tan, domain=(-1, 1))
_function("asin", "x", _asin, domain=(-0.9, 0.9))
_function("acos", "x", _acos, domain=(-0.9, 0.9))
_function("atan", "x", _atan, domain=(-4, 4))
_function("sinh", "x", _sinh)
_function("cosh", "x", _cosh)
_function("tanh", "o", _tanh)
_function("asinh", "x", _asinh, domain=(-4, 4))
_function("acosh", "x", _acosh, domain=(1.5, 4))
_function("atanh", "x", _atanh, domain=(-0.9, 0.9))
_function("sigmoid", "o", _sigmoid, domain=(-4, 4))
_function("erf", "x", _erf)
_function("erfc", "x", _erfc)
_whole_numbers = (-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2)
for _name in ("floor", "ceil", "round", "trunc"):
    _function(_name, "", _zero, kinks=_whole_numbers)
_function("frac", "", _pass, kinks=_whole_numbers)


# ---- with attributes ----


def _nan_to_num_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    finite = call("isfinite", ctx.saved[0])
    return (call("zero_where", g, finite, invert=True),)


NAN_TO_NUM = map_op(
    "nan_to_num",
    "x",
    vjp=_nan_to_num_vjp,
    cases=({"nan": 1.5, "posinf": 2.5, "neginf": -3.5},),
    special=_EVERYWHERE,
)


def _without_nan_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    return (call("zero_where", g, call("isnan", ctx.saved[0]), invert=False),)


WITHOUT_NAN = map_op(
    "without_nan",
    "x",
    vjp=_without_nan_vjp,
    kernel="nan_to_num",
    params=None,
    floats=(0.0, math.inf, -math.inf),
    special=_EVERYWHERE,
)

# exponents that have a kernel of their own
_POWERS = {
    1.0: "copy",
    2.0: "square",
    3.0: "cube",
    0.5: "sqrt",
    -0.5: "rsqrt",
    -1.0: "reciprocal",
}


def _pow_scalar_forward(ctx: Any, needs: Any, x: Array, exponent: float) -> Array:
    out: Array = ctx.empty_like(x)
    kernel = _POWERS.get(float(exponent)) if x.dtype.is_floating_point else None
    if kernel is not None:
        run(kernel, (x,), (out,))
    else:
        run("pow", (x, constant(exponent, x.dtype)), (out,))
    if needs[0]:
        ctx.save(x)
    return out


def _pow_scalar_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    (x,) = ctx.saved
    exponent = ctx.attrs["exponent"]
    if exponent == 0:
        return (call("zeros_like", g),)
    if exponent == 1:
        return (call("alias", g),)
    lower = call("pow_scalar", x, exponent=exponent - 1)
    return (call("grad_mul", g, call("mul", lower, float(exponent))),)


POW_SCALAR = map_op(
    "pow_scalar",
    "x",
    vjp=_pow_scalar_vjp,
    takes=NUMBERS,
    cases=[{"exponent": e} for e in (3, 2, 1, 0, -1, 0.5, -0.5, 1.7, -2.5, 4)],
    domain=(0.5, 2),
    special=_EVERYWHERE,
    forward=_pow_scalar_forward,
)


# ---- log(x / (1 - x)) ----


def _logit_forward(ctx: Any, needs: Any, x: Array) -> Array:
    out: Array = ctx.empty_like(x)
    rest, odds = empty(x.shape, x.dtype), empty(x.shape, x.dtype)
    run("sub", (constant(1, x.dtype), x), (rest,))
    run("div", (x, rest), (odds,))
    run("log", (odds,), (out,))
    if needs[0]:
        ctx.save(x)
    return out


def _logit_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    """1 / (x (1 - x)), infinite at 0 and 1; outside of them there is no function."""
    (x,) = ctx.saved
    product = call("mul", x, call("sub", 1.0, x))
    nan = call("full", shape=(), value=_NAN, dtype=x.dtype)
    inside = call("where", call("lt", product, 0.0), nan, product)
    return (call("grad_div", g, inside),)


LOGIT = map_op(
    "logit",
    "x",
    vjp=_logit_vjp,
    domain=(0.1, 0.9),
    special=_EVERYWHERE,
    forward=_logit_forward,
)

# ---- tests of each element ----

TESTS = {
    **{name: bool_op(name, 1, FLOATS) for name in ("isnan", "isinf", "isfinite")},
    "logical_not": bool_op("logical_not", 1, ANY),
    "bitwise_not": map_op("bitwise_not", "", vjp=None, takes=WHOLE),
}
