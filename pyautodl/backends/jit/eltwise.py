"""numba twins of the elementwise kernels that networks use most.

Each is a ufunc (`vectorize`): NumPy walks broadcast and strided operands and numba compiles
the element's function, once per element type and at first use.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import vectorize

__all__ = [
    "abs",
    "add",
    "clamp",
    "clamp_grad",
    "div",
    "elu",
    "elu_grad",
    "eq",
    "exp",
    "ge",
    "gelu",
    "gelu_grad",
    "grad_div",
    "grad_mul",
    "gt",
    "hardtanh_grad",
    "le",
    "leaky_relu",
    "leaky_relu_grad",
    "log",
    "lt",
    "maximum",
    "minimum",
    "mul",
    "ne",
    "neg",
    "relu",
    "relu_grad",
    "sigmoid",
    "sigmoid_grad",
    "silu",
    "silu_grad",
    "sqrt",
    "square",
    "sub",
    "tanh",
    "tanh_grad",
    "where",
]

Kernel = Callable[..., None]
_SQRT_HALF = math.sqrt(0.5)
_INV_SQRT_2PI = 1 / math.sqrt(2 * math.pi)


def _kernel(function: Any, reads: int = 1) -> Kernel:
    """The kernel of a compiled function of elements and parameters."""

    def kernel(*args: Any) -> None:
        given, out, params = args[:reads], args[reads], args[reads + 1 :]
        # parameters of the operands' type, or they would make it wider
        kind = given[0].dtype.type
        function(*given, *[kind(each) for each in params], out=out)

    return kernel


def _element(function: Any) -> Any:
    """A ufunc of its own for each element type: one ufunc would take loops it has."""
    made: dict[Any, Any] = {}

    def call(*args: Any, out: Any) -> None:
        kind = args[0].dtype
        if kind not in made:
            made[kind] = vectorize(cache=True)(function)
        made[kind](*args, out=out)

    return call


# ---- one operand ----


@_element
def _sigmoid(x):  # type: ignore[no-untyped-def]
    e = np.exp(-np.abs(x))
    return e / (1 + e) if x < 0 else 1 / (1 + e)


@_element
def _silu(x):  # type: ignore[no-untyped-def]
    e = np.exp(-np.abs(x))
    return x * (e / (1 + e) if x < 0 else 1 / (1 + e))


@_element
def _gelu(x):  # type: ignore[no-untyped-def]
    return x * 0.5 * math.erfc(-x * _SQRT_HALF)


def relu(x: Any, out: Any) -> None:
    np.maximum(x, 0, out=out)


@_element
def _clamp(x, low, high):  # type: ignore[no-untyped-def]
    raised = low if x < low else x
    return high if raised > high else raised


@_element
def _leaky_relu(x, slope):  # type: ignore[no-untyped-def]
    return x if x > 0 else x * slope


@_element
def _elu(x, alpha, scale, input_scale):  # type: ignore[no-untyped-def]
    return x * scale if x > 0 else np.expm1(x * input_scale) * (alpha * scale)


# NumPy's own ufuncs are compiled loops already
neg = _kernel(np.negative)
abs = _kernel(np.abs)
square = _kernel(np.square)
sqrt = _kernel(np.sqrt)
exp = _kernel(np.exp)
log = _kernel(np.log)
tanh = _kernel(np.tanh)
sigmoid = _kernel(_sigmoid)
silu = _kernel(_silu)
gelu = _kernel(_gelu)
clamp = _kernel(_clamp)
leaky_relu = _kernel(_leaky_relu)
elu = _kernel(_elu)


# ---- several operands ----


def where(x: Any, y: Any, condition: Any, out: Any) -> None:
    out[...] = np.where(condition, x, y)


add = _kernel(np.add, 2)
sub = _kernel(np.subtract, 2)
mul = _kernel(np.multiply, 2)
div = _kernel(np.divide, 2)
eq = _kernel(np.equal, 2)
ne = _kernel(np.not_equal, 2)
lt = _kernel(np.less, 2)
le = _kernel(np.less_equal, 2)
gt = _kernel(np.greater, 2)
ge = _kernel(np.greater_equal, 2)
maximum = _kernel(np.maximum, 2)
minimum = _kernel(np.minimum, 2)


# ---- gradients: 0 stays 0 ----


@_element
def _grad_mul(g, d):  # type: ignore[no-untyped-def]
    return g if g == 0 else g * d


@_element
def _grad_div(g, d):  # type: ignore[no-untyped-def]
    return g if g == 0 else g / d


@_element
def _relu_grad(g, y):  # type: ignore[no-untyped-def]
    return np.float32(0) if y <= 0 else g


@_element
def _leaky_relu_grad(g, y, slope):  # type: ignore[no-untyped-def]
    return g if y > 0 else g * slope


@_element
def _clamp_grad(g, x, low, high):  # type: ignore[no-untyped-def]
    return np.float32(0) if x < low or x > high else g


@_element
def _hardtanh_grad(g, x, low, high):  # type: ignore[no-untyped-def]
    return np.float32(0) if x <= low or x >= high else g


@_element
def _sigmoid_grad(g, y):  # type: ignore[no-untyped-def]
    return g if g == 0 else g * (y * (1 - y))


@_element
def _tanh_grad(g, y):  # type: ignore[no-untyped-def]
    return g if g == 0 else g * (1 - y * y)


@_element
def _silu_grad(g, x):  # type: ignore[no-untyped-def]
    e = np.exp(-np.abs(x))
    s = e / (1 + e) if x < 0 else 1 / (1 + e)
    return g * 1.0 if g == 0 else g * (s * (1 + x * (1 - s)))


@_element
def _gelu_grad(g, x):  # type: ignore[no-untyped-def]
    bell = np.exp(-0.5 * x * x)
    slope = 0.5 * math.erfc(-x * _SQRT_HALF) + x * bell * _INV_SQRT_2PI
    return g * 1.0 if g == 0 else g * slope


@_element
def _elu_grad(g, x, alpha, scale, input_scale):  # type: ignore[no-untyped-def]
    below = np.exp(x * input_scale) * (alpha * scale * input_scale)
    return g if g == 0 else g * (scale if x > 0 else below)


grad_mul = _kernel(_grad_mul, 2)
grad_div = _kernel(_grad_div, 2)
relu_grad = _kernel(_relu_grad, 2)
leaky_relu_grad = _kernel(_leaky_relu_grad, 2)
clamp_grad = _kernel(_clamp_grad, 2)
hardtanh_grad = _kernel(_hardtanh_grad, 2)
sigmoid_grad = _kernel(_sigmoid_grad, 2)
tanh_grad = _kernel(_tanh_grad, 2)
silu_grad = _kernel(_silu_grad, 2)
gelu_grad = _kernel(_gelu_grad, 2)
elu_grad = _kernel(_elu_grad, 2)
