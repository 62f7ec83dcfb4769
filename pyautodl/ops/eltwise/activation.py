"""Activations and their gradients, each one kernel.

`<name>_grad(g, saved)` is the gradient; saved is the result where the slope follows
from it, else the operand. Its own gradient is written with plain ops.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from pyautodl.ops.eltwise.mapping import FLOATS, NUMBERS, back, in_order, map_op
from pyautodl.ops.eltwise.unary import MATH
from pyautodl.ops.record import Op

__all__ = ["ACTIVATIONS", "ACTIVATION_GRADS", "PRELU"]

ACTIVATIONS: dict[str, Op] = {}
ACTIVATION_GRADS: dict[str, Op] = {}

_SPECIAL = (0.0, -0.0, 3.0, -3.0, 6.0, 30.0, -30.0, math.inf, math.nan)

# bend(call, t, saved, attrs): what saved gets, where t is the product of both gradients
Bend = Callable[[Any, Any, Any, Any], Any]


def _activation(
    name: str,
    keep: str,
    bend: Bend | None,
    *,
    kernel: str | None = None,
    kinks: Sequence[float] = (),
    cases: Sequence[dict[str, Any]] = ({},),
    takes: tuple[int, ...] = FLOATS,
    params: Callable[..., tuple[float, ...]] = in_order,
    new: bool = True,
) -> None:
    """Register an activation and its gradient op; bend None: the slope is constant.

    `new=False`: the op itself is among the functions of `unary`.
    """
    grad_name = f"{name}_grad"

    def vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
        return (call(grad_name, g, ctx.saved[0], **ctx.attrs),)

    def grad_vjp(call: Any, ctx: Any, needs: Any, gg: Any) -> tuple[Any, ...]:
        saved = ctx.saved[-1]
        first = second = None
        if needs[0]:
            first = back(call, ctx, 0, call(grad_name, gg, saved, **ctx.attrs))
        if needs[1] and bend is None:
            second = call("zeros_like", saved)
        elif needs[1] and bend is not None:
            both = call("grad_mul", gg, ctx.saved[0])
            second = back(call, ctx, 1, bend(call, both, saved, ctx.attrs))
        return first, second

    if new:
        ACTIVATIONS[name] = map_op(
            name,
            keep,
            vjp=vjp,
            kernel=kernel,
            kinks=kinks,
            cases=cases,
            special=_SPECIAL,
            domain=(-5, 7),
            params=params,
            takes=takes,
        )
    else:
        ACTIVATIONS[name] = MATH[name]
    ACTIVATION_GRADS[grad_name] = map_op(
        grad_name,
        "y",
        "y" if bend is None else "xy",
        vjp=grad_vjp,
        kinks=(*kinks, 0.0),
        cases=cases,
        domain=[(-2, 2), (0.1, 0.9) if keep == "o" else (-5, 7)],
        gradient_of=name,
        params=params,
    )


# ---- second derivatives ----


def _one_minus(call: Any, x: Any) -> Any:
    return call("sub", 1.0, x)


def _sigmoid_bend(call: Any, t: Any, y: Any, attrs: Any) -> Any:
    return call("grad_mul", t, _one_minus(call, call("mul", y, 2.0)))


def _tanh_bend(call: Any, t: Any, y: Any, attrs: Any) -> Any:
    return call("grad_mul", t, call("mul", y, -2.0))


def _hardswish_bend(call: Any, t: Any, x: Any, attrs: Any) -> Any:
    return call("hardtanh_grad", call("mul", t, 1 / 3), x, min=-3.0, max=3.0)


def _softsign_bend(call: Any, t: Any, x: Any, attrs: Any) -> Any:
    turn = call("div", call("mul", call("sign", x), -2.0), _one_plus_abs(call, x))
    return call("grad_mul", call("softsign_grad", t, x), turn)


def _one_plus_abs(call: Any, x: Any) -> Any:
    return call("add", call("abs", x), 1.0)


def _logsigmoid_bend(call: Any, t: Any, x: Any, attrs: Any) -> Any:
    return call("neg", call("sigmoid_grad", t, call("sigmoid", x)))


def _softplus_bend(call: Any, t: Any, x: Any, attrs: Any) -> Any:
    scaled = call("mul", x, float(attrs["beta"]))
    straight = call("gt", scaled, float(attrs["threshold"]))
    bent = call("sigmoid_grad", t, call("sigmoid", scaled))
    bent = call("mul", bent, float(attrs["beta"]))
    return call("zero_where", bent, straight, invert=False)


def _elu_bend(call: Any, t: Any, x: Any, attrs: Any) -> Any:
    bent = call("elu_grad", t, x, **attrs)
    bent = call("mul", bent, float(attrs["input_scale"]))
    return call("zero_where", bent, call("gt", x, 0.0), invert=False)


def _where_curved(call: Any, x: Any) -> Any:
    """x no farther out than where a curve is straight: powers of it stay finite."""
    return call("clamp", x, min=-40.0, max=40.0)


def _gelu_bend(call: Any, t: Any, x: Any, attrs: Any) -> Any:
    x = _where_curved(call, x)
    square = call("square", x)
    bell = call("exp", call("mul", square, -0.5))
    bell = call("mul", bell, 1 / math.sqrt(2 * math.pi))
    return call("grad_mul", t, call("mul", bell, call("sub", 2.0, square)))


def _gelu_tanh_bend(call: Any, t: Any, x: Any, attrs: Any) -> Any:
    """With h = tanh(u(x)): (1 - h^2) (u' + x u'' / 2 - x h u'^2)."""
    factor, cubic = math.sqrt(2 / math.pi), 0.044715
    x = _where_curved(call, x)
    square = call("square", x)
    u = call("mul", x, call("add", call("mul", square, cubic), 1.0))
    slope = call("mul", call("add", call("mul", square, 3 * cubic), 1.0), factor)
    h = call("tanh", call("mul", u, factor))
    # x u'' / 2
    middle = call("mul", square, 3 * cubic * factor)
    last = call("mul", call("mul", x, h), call("square", slope))
    whole = call("sub", call("add", slope, middle), last)
    return call("grad_mul", t, call("mul", whole, _one_minus(call, call("square", h))))


def _silu_bend(call: Any, t: Any, x: Any, attrs: Any) -> Any:
    """s (1 - s) (2 + x (1 - 2 s)) with s = sigmoid(x)."""
    s = call("sigmoid", x)
    turn = call("mul", x, _one_minus(call, call("mul", s, 2.0)))
    slope = call("mul", s, _one_minus(call, s))
    return call("grad_mul", t, call("mul", slope, call("add", turn, 2.0)))


def _mish_bend(call: Any, t: Any, x: Any, attrs: Any) -> Any:
    """(1 - h^2) s (2 + x (1 - s - 2 h s)), h = tanh(softplus(x)), s = sigmoid(x)."""
    s = call("sigmoid", x)
    h = call("tanh", call("softplus", x, beta=1.0, threshold=20.0))
    inner = call("sub", _one_minus(call, s), call("mul", call("mul", h, s), 2.0))
    turn = call("add", call("mul", x, inner), 2.0)
    slope = call("mul", s, _one_minus(call, call("square", h)))
    return call("grad_mul", t, call("mul", slope, turn))


# ---- the records ----


def _slope_params(negative_slope: float) -> tuple[float, ...]:
    return (negative_slope,)


def _softplus_params(beta: float, threshold: float) -> tuple[float, ...]:
    return beta, threshold


def _limits(min: float, max: float) -> tuple[float, ...]:
    return min, max


def _elu_params(alpha: float, scale: float, input_scale: float) -> tuple[float, ...]:
    return alpha, scale, input_scale


_activation("relu", "o", None, kinks=(0,), takes=NUMBERS)


def _prelu_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    x, slopes = ctx.saved
    gx = gs = None
    if needs[0]:
        below = call("grad_mul", g, slopes)
        gx = back(call, ctx, 0, call("where", call("gt", x, 0.0), g, below))
    if needs[1]:
        low = call("clamp", x, min=-math.inf, max=0.0)
        gs = back(call, ctx, 1, call("grad_mul", g, low))
    return gx, gs


PRELU = map_op("prelu", "xy", "x", vjp=_prelu_vjp, kinks=(0,))
_activation(
    "leaky_relu",
    "x",
    None,
    kinks=(0,),
    cases=[{"negative_slope": s} for s in (0.1, -0.5)],
    params=_slope_params,
)
_limit_cases = [{"min": -1.0, "max": 2.0}, {"min": -math.inf, "max": 1.0}]
for _name in ("clamp", "hardtanh"):
    _activation(
        _name,
        "x",
        None,
        kernel="clamp",
        kinks=(-1, 1, 2),
        cases=_limit_cases,
        params=_limits,
    )
_activation("hardswish", "x", _hardswish_bend, kinks=(-3, 3))
_activation("hardsigmoid", "x", None, kinks=(-3, 3))
_activation("softsign", "x", _softsign_bend, kinks=(0,))
_activation("sigmoid", "o", _sigmoid_bend, new=False)
_activation("tanh", "o", _tanh_bend, new=False)
_activation("logsigmoid", "x", _logsigmoid_bend)
_activation(
    "softplus",
    "x",
    _softplus_bend,
    kinks=(2,),
    cases=[{"beta": 1.0, "threshold": 20.0}, {"beta": 1.5, "threshold": 3.0}],
    params=_softplus_params,
)
_activation(
    "elu",
    "x",
    _elu_bend,
    kinks=(0,),
    cases=[
        {"alpha": 1.0, "scale": 1.0, "input_scale": 1.0},
        {"alpha": 1.3, "scale": 1.1, "input_scale": 0.7},
    ],
    params=_elu_params,
)
_activation("gelu", "x", _gelu_bend)
_activation("gelu_tanh", "x", _gelu_tanh_bend)
_activation("silu", "x", _silu_bend)
_activation("mish", "x", _mish_bend)


# ---- thresholds: what stands in for small values has no part in the gradient ----


def _threshold_params(threshold: float, value: float) -> tuple[float, ...]:
    return threshold, value


def _threshold_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    threshold = ctx.attrs["threshold"]
    return (call("threshold_grad", g, ctx.saved[0], threshold=threshold),)


def _threshold_grad_vjp(call: Any, ctx: Any, needs: Any, gg: Any) -> tuple[Any, ...]:
    (x,) = ctx.saved
    first = None
    if needs[0]:
        first = back(call, ctx, 0, call("threshold_grad", gg, x, **ctx.attrs))
    return first, call("zeros_like", x) if needs[1] else None


def _shrink_vjp(call: Any, ctx: Any, needs: Any, g: Any) -> tuple[Any, ...]:
    return (call("hardshrink_grad", g, ctx.saved[0], **ctx.attrs),)


def _shrink_grad_vjp(call: Any, ctx: Any, needs: Any, gg: Any) -> tuple[Any, ...]:
    (x,) = ctx.saved
    first = None
    if needs[0]:
        first = back(call, ctx, 0, call("hardshrink_grad", gg, x, **ctx.attrs))
    return first, call("zeros_like", x) if needs[1] else None


# both have the slope 1 beyond the bound, else 0
for _name in ("hardshrink", "softshrink"):
    ACTIVATIONS[_name] = map_op(
        _name,
        "x",
        vjp=_shrink_vjp,
        kinks=(-0.5, 0.5),
        cases=({"lambd": 0.5},),
        special=(*_SPECIAL, 0.5, -0.5, -math.inf),
    )
ACTIVATION_GRADS["hardshrink_grad"] = map_op(
    "hardshrink_grad",
    "y",
    "y",
    vjp=_shrink_grad_vjp,
    kinks=(-0.5, 0.5),
    cases=({"lambd": 0.5},),
    gradient_of="hardshrink",
)
ACTIVATIONS["threshold"] = map_op(
    "threshold",
    "x",
    vjp=_threshold_vjp,
    kinks=(0.5,),
    cases=({"threshold": 0.5, "value": -3.0},),
    special=_SPECIAL,
    params=_threshold_params,
)
ACTIVATION_GRADS["threshold_grad"] = map_op(
    "threshold_grad",
    "y",
    "y",
    vjp=_threshold_grad_vjp,
    kinks=(0.5,),
    cases=({"threshold": 0.5},),
    gradient_of="threshold",
)
