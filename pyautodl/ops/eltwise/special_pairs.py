"""Functions of two numbers: products with logarithms, sums of exponentials, steps."""

from __future__ import annotations

import math
from typing import Any

from pyautodl.ops.eltwise.mapping import back, map_op
from pyautodl.ops.record import Op

__all__ = ["SPECIAL_PAIRS"]

# by which numbers the kernel knows them, as csrc/math/special.h
_KINDS = ("xlogy", "xlog1py", "logaddexp", "logaddexp2", "heaviside", "nextafter")

# name -> the op
SPECIAL_PAIRS: dict[str, Op] = {}


def _pair(
    name: str, keep: str, vjp: Any, domain: Any, kinks: tuple[float, ...]
) -> None:
    SPECIAL_PAIRS[name] = map_op(
        name,
        keep,
        keep,
        vjp=vjp,
        kernel="special_pair",
        params=None,
        floats=(float(_KINDS.index(name)),),
        domain=domain,
        kinks=kinks,
    )


def _log_product_vjp(logarithm: str, one: float) -> Any:
    """Of x log(y); `one` is where the logarithm is 0."""

    def vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
        x, y = ctx.saved
        # another y where x is 0 and the logarithm not finite: no derivative is infinite
        endless = call("le", y, one - 1.0)
        endless = call("logical_or", endless, call("eq", y, math.inf))
        nothing = call("logical_and", call("eq", x, 0.0), endless)
        y = call("where", nothing, call("full", shape=(), value=one, dtype=y.dtype), y)
        gx = gy = None
        if needs[0]:
            slope = call(logarithm, y)
            # a NaN with a derivative that is NaN too
            gx = back(call, ctx, 0, call("grad_mul", g, slope))
        if needs[1]:
            bottom = y if one else call("add", y, 1.0)
            slope = call("div", x, bottom)
            slope = call("zero_where", slope, nothing, invert=False)
            gy = back(call, ctx, 1, call("grad_mul", g, slope))
        return gx, gy

    return vjp


def _sum_of_powers_vjp(base: float) -> Any:
    """Of log(base^x + base^y); of two equal infinities the first has all of the gradient."""

    def vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
        x, y = ctx.saved
        gap = call("sub", x, y)
        endless = call("logical_and", call("eq", x, y), call("isinf", x))
        most = call("full", shape=(), value=math.inf, dtype=gap.dtype)
        gap = call("where", endless, most, gap)
        if base != math.e:
            gap = call("mul", gap, math.log(base))
        gx = gy = None
        if needs[0]:
            gx = back(call, ctx, 0, call("grad_mul", g, call("sigmoid", gap)))
        if needs[1]:
            share = call("sigmoid", call("neg", gap))
            gy = back(call, ctx, 1, call("grad_mul", g, share))
        return gx, gy

    return vjp


_LOG = [(-2.0, 2.0), (0.5, 3.0)]
_pair("xlogy", "xy", _log_product_vjp("log", 1.0), _LOG, (0,))
_pair("xlog1py", "xy", _log_product_vjp("log1p", 0.0), _LOG, (0,))
_pair("logaddexp", "xy", _sum_of_powers_vjp(math.e), (-2.0, 2.0), ())
_pair("logaddexp2", "xy", _sum_of_powers_vjp(2.0), (-2.0, 2.0), ())
_pair("heaviside", "", None, (-2.0, 2.0), ())
_pair("nextafter", "", None, (-2.0, 2.0), ())
