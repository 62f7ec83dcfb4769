"""Functions of single elements."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pyautodl.backends.dtypes import bool_
from pyautodl.onnx.graph import Graph, no_form
from pyautodl.onnx.trace import Call

__all__ = ["ELEMENTWISE", "cast_to"]

Form = Callable[[Graph, Call], Any]

# ops that ONNX has under another spelling, of as many inputs
_SAME = {
    "abs": "Abs",
    "acos": "Acos",
    "acosh": "Acosh",
    "add": "Add",
    "asin": "Asin",
    "asinh": "Asinh",
    "atan": "Atan",
    "atanh": "Atanh",
    "ceil": "Ceil",
    "cos": "Cos",
    "cosh": "Cosh",
    "div": "Div",
    "eq": "Equal",
    "erf": "Erf",
    "exp": "Exp",
    "floor": "Floor",
    "ge": "GreaterOrEqual",
    "gt": "Greater",
    "isnan": "IsNaN",
    "le": "LessOrEqual",
    "log": "Log",
    "lt": "Less",
    "maximum": "Max",
    "minimum": "Min",
    "mul": "Mul",
    "neg": "Neg",
    "pow": "Pow",
    "prelu": "PRelu",
    "reciprocal": "Reciprocal",
    "relu": "Relu",
    "round": "Round",
    "sigmoid": "Sigmoid",
    "sign": "Sign",
    "sin": "Sin",
    "sinh": "Sinh",
    "softsign": "Softsign",
    "sqrt": "Sqrt",
    "sub": "Sub",
    "tan": "Tan",
    "tanh": "Tanh",
    "where": "Where",
}
_LOGICAL = {
    "logical_and": "And",
    "logical_not": "Not",
    "logical_or": "Or",
    "logical_xor": "Xor",
}
# ops that give their input
_IDENTITIES = ("alias", "copy")
_DTYPES: dict[str, int] = {
    "float32": 1,
    "uint8": 2,
    "int8": 3,
    "int16": 5,
    "int32": 6,
    "int64": 7,
    "bool": 9,
    "float64": 11,
}


def cast_to(graph: Graph, name: str, dtype: Any) -> str:
    """A value in another element type."""
    return graph.node("Cast", name, to=_DTYPES[dtype.name])


def _renamed(kind: str) -> Form:
    return lambda graph, call: graph.node(kind, *graph.names_in(call))


def _cast(graph: Graph, call: Call) -> str:
    return cast_to(graph, graph.name_of(call.x), call.attrs["dtype"])


def _logical(kind: str) -> Form:
    """Of bools; other numbers are true where they are not 0."""

    def form(graph: Graph, call: Call) -> str:
        names = [
            name
            if each is None or each.array.dtype is bool_
            else cast_to(graph, name, bool_)
            for name, each in zip(graph.names_in(call), call.inputs)
        ]
        return graph.node(kind, *names)

    return form


def _ne(graph: Graph, call: Call) -> str:
    return graph.node("Not", graph.node("Equal", *graph.names_in(call)))


def _times(graph: Graph, call: Call, name: str, factor: float) -> str:
    return graph.node("Mul", name, graph.number(factor, call.x))


def _plus(graph: Graph, call: Call, name: str, summand: float) -> str:
    return graph.node("Add", name, graph.number(summand, call.x))


def _square(graph: Graph, call: Call) -> str:
    (x,) = graph.names_in(call)
    return graph.node("Mul", x, x)


def _rsqrt(graph: Graph, call: Call) -> str:
    return graph.node("Reciprocal", graph.node("Sqrt", *graph.names_in(call)))


def _exp2(graph: Graph, call: Call) -> str:
    return graph.node("Pow", graph.number(2, call.x), *graph.names_in(call))


def _expm1(graph: Graph, call: Call) -> str:
    return _plus(graph, call, graph.node("Exp", *graph.names_in(call)), -1)


def _log1p(graph: Graph, call: Call) -> str:
    return graph.node("Log", _plus(graph, call, graph.name_of(call.x), 1))


def _log_to(base: float) -> Form:
    def form(graph: Graph, call: Call) -> str:
        log = graph.node("Log", *graph.names_in(call))
        return _times(graph, call, log, 1 / math.log(base))

    return form


def _pow_scalar(graph: Graph, call: Call) -> str:
    exponent = graph.number(call.attrs["exponent"], call.x)
    return graph.node("Pow", *graph.names_in(call), exponent)


def _add_scaled(graph: Graph, call: Call) -> str:
    x, y = graph.names_in(call)
    return graph.node("Add", x, _times(graph, call, y, call.floats[0]))


def _fmod(graph: Graph, call: Call) -> str:
    return graph.node("Mod", *graph.names_in(call), fmod=1)


# ---- activations ----


def _leaky_relu(graph: Graph, call: Call) -> str:
    return graph.node("LeakyRelu", *graph.names_in(call), alpha=call.floats[0])


def _hardshrink(graph: Graph, call: Call) -> str:
    return graph.node("Shrink", *graph.names_in(call), lambd=call.floats[0])


def _softshrink(graph: Graph, call: Call) -> str:
    bound = call.floats[0]
    return graph.node("Shrink", *graph.names_in(call), lambd=bound, bias=bound)


def _copysign(graph: Graph, call: Call) -> str:
    x, y = graph.names_in(call)
    zero, size = graph.number(0.0, call.x), graph.node("Abs", x)
    # 1 / y tells -0 from 0
    below = [
        graph.node("Less", each, zero) for each in (y, graph.node("Reciprocal", y))
    ]
    return graph.node("Where", graph.node("Or", *below), graph.node("Neg", size), size)


def _clamp(graph: Graph, call: Call) -> str:
    limits = [
        "" if math.isinf(limit) else graph.number(limit, call.x)
        for limit in call.floats
    ]
    return graph.node("Clip", *graph.names_in(call), *limits)


def _elu(graph: Graph, call: Call) -> str:
    (x,), (alpha, scale, inside) = graph.names_in(call), call.floats
    if inside == 1:
        if scale == 1:
            return graph.node("Elu", x, alpha=alpha)
        return graph.node("Selu", x, alpha=alpha, gamma=scale)
    # Elu of the scaled input is right below 0, and above it x is
    below = graph.node("Elu", _times(graph, call, x, inside), alpha=alpha)
    is_above = graph.node("Greater", x, graph.number(0, call.x))
    return _times(graph, call, graph.node("Where", is_above, x, below), scale)


def _softplus(graph: Graph, call: Call) -> str:
    (x,), (beta, threshold) = graph.names_in(call), call.floats
    scaled = x if beta == 1 else _times(graph, call, x, beta)
    y = graph.node("Softplus", scaled)
    y = y if beta == 1 else _times(graph, call, y, 1 / beta)
    # above the default x differs from y by less than the rounding of float32
    if threshold >= 20:
        return y
    is_above = graph.node("Greater", scaled, graph.number(threshold, call.x))
    return graph.node("Where", is_above, x, y)


def _logsigmoid(graph: Graph, call: Call) -> str:
    negative = graph.node("Neg", *graph.names_in(call))
    return graph.node("Neg", graph.node("Softplus", negative))


def _silu(graph: Graph, call: Call) -> str:
    (x,) = graph.names_in(call)
    return graph.node("Mul", x, graph.node("Sigmoid", x))


def _mish(graph: Graph, call: Call) -> str:
    (x,) = graph.names_in(call)
    return graph.node("Mul", x, graph.node("Tanh", graph.node("Softplus", x)))


def _hardsigmoid(graph: Graph, call: Call) -> str:
    return graph.node("HardSigmoid", *graph.names_in(call), alpha=1 / 6, beta=0.5)


def _hardswish(graph: Graph, call: Call) -> str:
    return graph.node("HardSwish", *graph.names_in(call))


def _gelu(graph: Graph, call: Call) -> str:
    (x,) = graph.names_in(call)
    erf = graph.node("Erf", _times(graph, call, x, math.sqrt(0.5)))
    return graph.node("Mul", _times(graph, call, x, 0.5), _plus(graph, call, erf, 1))


def _gelu_tanh(graph: Graph, call: Call) -> str:
    (x,) = graph.names_in(call)
    cube = graph.node("Mul", graph.node("Mul", x, x), x)
    inner = graph.node("Add", x, _times(graph, call, cube, 0.044715))
    tanh = graph.node("Tanh", _times(graph, call, inner, math.sqrt(2 / math.pi)))
    return graph.node("Mul", _times(graph, call, x, 0.5), _plus(graph, call, tanh, 1))


def _threshold(graph: Graph, call: Call) -> str:
    (x,), (limit, value) = graph.names_in(call), call.floats
    is_below = graph.node("LessOrEqual", x, graph.number(limit, call.x))
    return graph.node("Where", is_below, graph.number(value, call.x), x)


# ---- functions of two numbers ----


def _log_product(plus_one: bool) -> Form:
    """x log(y), or x log(1 + y): 0 where x is, unless y is NaN."""

    def form(graph: Graph, call: Call) -> str:
        x, y = graph.names_in(call)
        zero = graph.number(0, call.x)
        logarithm = graph.node("Log", _plus(graph, call, y, 1) if plus_one else y)
        is_number = graph.node("Not", graph.node("IsNaN", y))
        nothing = graph.node("And", graph.node("Equal", x, zero), is_number)
        return graph.node("Where", nothing, zero, graph.node("Mul", x, logarithm))

    return form


def _sum_of_powers(base: float) -> Form:
    """log(base^x + base^y): the larger one and what the other adds to it."""

    def form(graph: Graph, call: Call) -> str:
        x, y = graph.names_in(call)
        gap = graph.node("Neg", graph.node("Abs", graph.node("Sub", x, y)))
        equal = graph.node("Equal", x, y)
        gap = graph.node("Where", equal, graph.number(0, call.x), gap)
        more = graph.node("Softplus", _times(graph, call, gap, math.log(base)))
        more = _times(graph, call, more, 1 / math.log(base))
        return graph.node("Add", graph.node("Max", x, y), more)

    return form


def _heaviside(graph: Graph, call: Call) -> str:
    x, y = graph.names_in(call)
    zero = graph.number(0, call.x)
    step = cast_to(graph, graph.node("Greater", x, zero), call.x.array.dtype)
    return graph.node("Where", graph.node("Equal", x, zero), y, step)


def _sinc(graph: Graph, call: Call) -> str:
    (x,) = graph.names_in(call)
    turns = _times(graph, call, x, math.pi)
    wave = graph.node("Div", graph.node("Sin", turns), turns)
    at_0 = graph.node("Equal", x, graph.number(0, call.x))
    return graph.node("Where", at_0, graph.number(1, call.x), wave)


# ---- rows ----


def _softmax(kind: str) -> Form:
    def form(graph: Graph, call: Call) -> str:
        if not call.x.shape:
            raise no_form(call, "of a number")
        return graph.node(kind, *graph.names_in(call), axis=call.attrs["dim"])

    return form


def _masked_softmax(graph: Graph, call: Call) -> str:
    if not call.x.shape:
        raise no_form(call, "of a number")
    x, mask = graph.names_in(call)
    axis = call.attrs["dim"]
    least = graph.number(float(np.finfo(call.x.array.dtype.numpy).min), call.x)
    soft = graph.node("Softmax", graph.node("Where", mask, x, least), axis=axis)
    # what is masked is 0 in rows without anything else, too
    return graph.node("Where", mask, soft, graph.number(0, call.x))


def _zero_where(graph: Graph, call: Call) -> str:
    x, condition = graph.names_in(call)
    zero = graph.number(0, call.x)
    both = (x, zero) if call.attrs["invert"] else (zero, x)
    return graph.node("Where", condition, *both)


def _identity(graph: Graph, call: Call) -> str:
    return graph.name_of(call.x)


def _dropout(graph: Graph, call: Call) -> str:
    raise no_form(
        call, "in training", "export calls model.eval(); see what keeps it on"
    )


ELEMENTWISE: dict[str, Form] = {
    **{op: _renamed(kind) for op, kind in _SAME.items()},
    **{op: _logical(kind) for op, kind in _LOGICAL.items()},
    **dict.fromkeys(_IDENTITIES, _identity),
    "add_scaled": _add_scaled,
    "cast": _cast,
    "clamp": _clamp,
    "dropout": _dropout,
    "elu": _elu,
    "exp2": _exp2,
    "expm1": _expm1,
    "fmod": _fmod,
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "hardshrink": _hardshrink,
    "hardsigmoid": _hardsigmoid,
    "hardswish": _hardswish,
    "hardtanh": _clamp,
    "heaviside": _heaviside,
    "leaky_relu": _leaky_relu,
    "copysign": _copysign,
    "softshrink": _softshrink,
    "log10": _log_to(10),
    "log1p": _log1p,
    "log2": _log_to(2),
    "log_softmax": _softmax("LogSoftmax"),
    "logaddexp": _sum_of_powers(math.e),
    "logaddexp2": _sum_of_powers(2),
    "logsigmoid": _logsigmoid,
    "masked_softmax": _masked_softmax,
    "mish": _mish,
    "ne": _ne,
    "pow_scalar": _pow_scalar,
    "rsqrt": _rsqrt,
    "silu": _silu,
    "sinc": _sinc,
    "softmax": _softmax("Softmax"),
    "softplus": _softplus,
    "square": _square,
    "threshold": _threshold,
    "xlog1py": _log_product(True),
    "xlogy": _log_product(False),
    "zero_where": _zero_where,
}
