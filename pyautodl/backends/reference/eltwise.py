"""What the elementwise kernels compute, in NumPy.

A kernel gets the arrays it reads, the array it writes and its parameters; what it reads
broadcasts to what it writes. `x` is the gradient of the result in kernels named
`<function>_grad`, and a gradient of exactly 0 stays 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pyautodl.backends.reference._special import FUNCTIONS, PAIRS, slope_of_gamma

Array = np.ndarray[Any, Any]
Kernel = Callable[..., None]

__all__ = [
    "abs",
    "acos",
    "acosh",
    "add",
    "add_scaled",
    "addcdiv",
    "addcmul",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "bitwise_and",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "ceil",
    "clamp",
    "clamp_grad",
    "copysign",
    "copysign_grad",
    "cos",
    "cosh",
    "cube",
    "div",
    "div_trunc",
    "elu",
    "elu_grad",
    "eq",
    "erf",
    "erfc",
    "exp",
    "exp2",
    "expm1",
    "floor",
    "floor_divide",
    "fmax",
    "fmin",
    "fmod",
    "frac",
    "gamma_slope",
    "ge",
    "gelu",
    "gelu_grad",
    "gelu_tanh",
    "gelu_tanh_grad",
    "grad_div",
    "grad_mul",
    "gt",
    "hardshrink",
    "hardshrink_grad",
    "hardsigmoid",
    "hardsigmoid_grad",
    "hardswish",
    "hardswish_grad",
    "hardtanh_grad",
    "hypot",
    "isfinite",
    "isinf",
    "isnan",
    "le",
    "leaky_relu",
    "leaky_relu_grad",
    "lerp",
    "log",
    "log1p",
    "log2",
    "log10",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "logsigmoid",
    "logsigmoid_grad",
    "logsumexp_grad",
    "lt",
    "maximum",
    "maximum_grad",
    "minimum",
    "mish",
    "mish_grad",
    "mul",
    "nan_to_num",
    "ne",
    "neg",
    "norm_grad",
    "pow",
    "prelu",
    "reciprocal",
    "relu",
    "relu_grad",
    "remainder",
    "round",
    "rsqrt",
    "sigmoid",
    "sigmoid_grad",
    "sign",
    "silu",
    "silu_grad",
    "sin",
    "sinh",
    "softplus",
    "softplus_grad",
    "softshrink",
    "softsign",
    "softsign_grad",
    "special",
    "special_pair",
    "sqrt",
    "square",
    "sub",
    "tan",
    "tanh",
    "tanh_grad",
    "threshold",
    "threshold_grad",
    "trunc",
    "var_grad",
    "where",
]


def _map(function: Callable[..., Any], reads: int = 1) -> Kernel:
    """The kernel that writes `function` of what it reads and of its parameters."""

    def kernel(*args: Any) -> None:
        args[reads][...] = function(*args[:reads], *args[reads + 1 :])

    return kernel


def _grad(slope: Callable[..., Any]) -> Kernel:
    """The kernel that multiplies a gradient by the slope at what was saved."""

    def kernel(g: Array, y: Array, out: Array, *params: float) -> None:
        out[...] = np.where(g == 0, 0, g * slope(y, *params))

    return kernel


# ---- one operand ----


def _erf(x: Array) -> Any:
    return np.array([math.erf(each) for each in x.ravel()], x.dtype).reshape(x.shape)


def _erfc(x: Array) -> Any:
    return np.array([math.erfc(each) for each in x.ravel()], x.dtype).reshape(x.shape)


def _special(x: Array, kind: float, n: float) -> Any:
    values = [FUNCTIONS[int(kind)](float(each), n) for each in x.ravel()]
    return np.array(values).reshape(x.shape)


def _special_pair(x: Array, y: Array, kind: float) -> Any:
    return PAIRS[int(kind)](x, y)


def _gamma_slope(shape: Array, log_x: Array) -> Any:
    pairs = zip(*(each.ravel() for each in np.broadcast_arrays(shape, log_x)))
    values = [slope_of_gamma(float(a), float(b)) for a, b in pairs]
    return np.array(values).reshape(np.broadcast_shapes(shape.shape, log_x.shape))


def _sign(x: Array) -> Any:
    """0 for NaN."""
    return (x > 0).astype(x.dtype) - (x < 0).astype(x.dtype)


def _nan_to_num(x: Array, nan: float, posinf: float, neginf: float) -> Any:
    x = np.where(np.isnan(x), nan, x)
    return np.where(x == np.inf, posinf, np.where(x == -np.inf, neginf, x))


def _cube(x: Array) -> Any:
    return x * x * x


def _rsqrt(x: Array) -> Any:
    return 1 / np.sqrt(x)


def _reciprocal(x: Array) -> Any:
    return 1 / x


def _frac(x: Array) -> Any:
    return x - np.trunc(x)


neg = _map(np.negative)
abs = _map(np.abs)
sign = _map(_sign)
square = _map(np.square)
cube = _map(_cube)
sqrt = _map(np.sqrt)
rsqrt = _map(_rsqrt)
reciprocal = _map(_reciprocal)
floor = _map(np.floor)
ceil = _map(np.ceil)
round = _map(np.rint)
trunc = _map(np.trunc)
frac = _map(_frac)
exp = _map(np.exp)
exp2 = _map(np.exp2)
expm1 = _map(np.expm1)
log = _map(np.log)
log1p = _map(np.log1p)
log2 = _map(np.log2)
log10 = _map(np.log10)
sin = _map(np.sin)
cos = _map(np.cos)
tan = _map(np.tan)
asin = _map(np.arcsin)
acos = _map(np.arccos)
atan = _map(np.arctan)
sinh = _map(np.sinh)
cosh = _map(np.cosh)
tanh = _map(np.tanh)
asinh = _map(np.arcsinh)
acosh = _map(np.arccosh)
atanh = _map(np.arctanh)
erf = _map(_erf)
erfc = _map(_erfc)
special = _map(_special)
gamma_slope = _map(_gamma_slope, 2)
special_pair = _map(_special_pair, 2)
isnan = _map(np.isnan)
isinf = _map(np.isinf)
isfinite = _map(np.isfinite)
nan_to_num = _map(_nan_to_num)
logical_not = _map(np.logical_not)
bitwise_not = _map(np.invert)


# ---- activations ----


def _sigmoid(x: Array) -> Any:
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def _logsigmoid(x: Array) -> Any:
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


def _softplus(x: Array, beta: float, threshold: float) -> Any:
    return np.where(x * beta > threshold, x, np.log1p(np.exp(x * beta)) / beta)


def _elu(x: Array, alpha: float, scale: float, input_scale: float) -> Any:
    return np.where(x > 0, x * scale, np.expm1(x * input_scale) * (alpha * scale))


def _normal(x: Array) -> Any:
    """The normal distribution up to x, accurate where it is small."""
    return 0.5 * _erfc(x * -math.sqrt(0.5))


def _normal_tanh(x: Array) -> Any:
    """(1 + tanh(...)) / 2 in GELU's approximation."""
    return _sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))


def _gelu(x: Array) -> Any:
    return x * _normal(x)


def _gelu_tanh(x: Array) -> Any:
    return x * _normal_tanh(x)


def _silu(x: Array) -> Any:
    return x * _sigmoid(x)


def _tanh_softplus(x: Array) -> Any:
    e = np.exp(np.minimum(x, 40))
    return e * (e + 2) / (e * (e + 2) + 2)


def _mish(x: Array) -> Any:
    return x * _tanh_softplus(x)


def _relu(x: Array) -> Any:
    return np.maximum(x, 0)


def _clamp(x: Array, low: float, high: float) -> Any:
    return np.minimum(np.maximum(x, low), high)


def _leaky_relu(x: Array, slope: Any) -> Any:
    return np.where(x > 0, x, x * slope)


def _hardshrink(x: Array, lambd: float) -> Any:
    return np.where(np.abs(x) <= lambd, 0, x)


def _softshrink(x: Array, lambd: float) -> Any:
    return x - np.clip(x, -lambd, lambd)


def _threshold(x: Array, threshold: float, value: float) -> Any:
    return np.where(x <= threshold, value, x)


def _hardswish(x: Array) -> Any:
    return x * _clamp(x + 3, 0, 6) / 6


def _hardsigmoid(x: Array) -> Any:
    return _clamp(x + 3, 0, 6) / 6


def _softsign(x: Array) -> Any:
    return x / (1 + np.abs(x))


relu = _map(_relu)
clamp = _map(_clamp)
leaky_relu = _map(_leaky_relu)
hardshrink = _map(_hardshrink)
softshrink = _map(_softshrink)
threshold = _map(_threshold)
hardswish = _map(_hardswish)
hardsigmoid = _map(_hardsigmoid)
softsign = _map(_softsign)
sigmoid = _map(_sigmoid)
logsigmoid = _map(_logsigmoid)
softplus = _map(_softplus)
elu = _map(_elu)
gelu = _map(_gelu)
gelu_tanh = _map(_gelu_tanh)
silu = _map(_silu)
mish = _map(_mish)


# ---- two operands ----


def _add_scaled(x: Array, y: Array, alpha: float) -> Any:
    return x + x.dtype.type(alpha) * y


def _div_trunc(x: Array, y: Array) -> Any:
    if x.dtype.kind == "f":
        return np.trunc(x / y)
    quotient = np.floor_divide(x, y)
    return quotient + ((np.remainder(x, y) != 0) & ((x < 0) != (y < 0)))


def _divides(function: Callable[..., Any]) -> Kernel:
    """As `_map`; integers are not divided by 0."""

    def kernel(x: Array, y: Array, out: Array) -> None:
        if x.dtype.kind != "f" and out.size and not y.all():
            raise ValueError("division by 0")
        out[...] = function(x, y)

    return kernel


def _pow(x: Array, y: Array) -> Any:
    if x.dtype.kind == "f":
        return np.power(x, y)
    power = np.power(x, np.maximum(y, 0))
    one_over = np.where(x == 1, 1, np.where(x == -1, np.where(y % 2 == 0, 1, -1), 0))
    return np.where(y < 0, one_over, power)


def _shift(function: Callable[..., Any], x: Array, y: Array, beyond: Array) -> Any:
    bits = 8 * x.itemsize
    inside = (y >= 0) & (y < bits)
    return np.where(inside, function(x, np.where(inside, y, 0)), beyond)


def _left_shift(x: Array, y: Array) -> Any:
    return _shift(np.left_shift, x, y, np.zeros_like(x))


def _right_shift(x: Array, y: Array) -> Any:
    return _shift(np.right_shift, x, y, np.where(x < 0, x.dtype.type(0) - 1, 0))


add = _map(np.add, 2)
sub = _map(np.subtract, 2)
mul = _map(np.multiply, 2)
div = _map(np.divide, 2)
add_scaled = _map(_add_scaled, 2)
div_trunc = _divides(_div_trunc)
floor_divide = _divides(np.floor_divide)
remainder = _divides(np.remainder)
fmod = _divides(np.fmod)
maximum = _map(np.maximum, 2)
minimum = _map(np.minimum, 2)
fmax = _map(np.fmax, 2)
fmin = _map(np.fmin, 2)
pow = _map(_pow, 2)
atan2 = _map(np.arctan2, 2)
hypot = _map(np.hypot, 2)
copysign = _map(np.copysign, 2)
prelu = _map(_leaky_relu, 2)
eq = _map(np.equal, 2)
ne = _map(np.not_equal, 2)
lt = _map(np.less, 2)
le = _map(np.less_equal, 2)
gt = _map(np.greater, 2)
ge = _map(np.greater_equal, 2)
logical_and = _map(np.logical_and, 2)
logical_or = _map(np.logical_or, 2)
logical_xor = _map(np.logical_xor, 2)
bitwise_and = _map(np.bitwise_and, 2)
bitwise_or = _map(np.bitwise_or, 2)
bitwise_xor = _map(np.bitwise_xor, 2)
bitwise_left_shift = _map(_left_shift, 2)
bitwise_right_shift = _map(_right_shift, 2)


# ---- three operands ----


def _lerp(start: Array, end: Array, weight: Array) -> Any:
    way = end - start
    near = np.abs(weight) < 0.5
    return np.where(near, start + weight * way, end - way * (1 - weight))


def _addcmul(x: Array, a: Array, b: Array, value: float) -> Any:
    return x + value * a * b


def _addcdiv(x: Array, a: Array, b: Array, value: float) -> Any:
    return x + value * a / b


def _where(x: Array, y: Array, condition: Array) -> Any:
    return np.where(condition, x, y)


lerp = _map(_lerp, 3)
addcmul = _map(_addcmul, 3)
addcdiv = _map(_addcdiv, 3)
where = _map(_where, 3)


# ---- gradients ----


def _itself(y: Array) -> Any:
    return y


def _leaky_relu_slope(y: Array, slope: float) -> Any:
    return np.where(y > 0, 1, slope)


def _hardswish_slope(x: Array) -> Any:
    return np.where(x <= -3, 0, np.where(x >= 3, 1, x / 3 + 0.5))


def _softsign_slope(x: Array) -> Any:
    return 1 / np.square(1 + np.abs(x))


def _sigmoid_slope(y: Array) -> Any:
    return y * (1 - y)


def _tanh_slope(y: Array) -> Any:
    return 1 - y * y


def _logsigmoid_slope(x: Array) -> Any:
    return _sigmoid(-x)


def _softplus_slope(x: Array, beta: float, threshold: float) -> Any:
    return np.where(x * beta > threshold, 1, _sigmoid(x * beta))


def _elu_slope(x: Array, alpha: float, scale: float, input_scale: float) -> Any:
    below = np.exp(np.minimum(x, 0) * input_scale) * (alpha * scale * input_scale)
    return np.where(x > 0, scale, below)


def _gelu_slope(x: Array) -> Any:
    density = np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    return _normal(x) + x * density


def _gelu_tanh_slope(x: Array) -> Any:
    s = _normal_tanh(x)
    inner = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)
    return s + 2 * x * s * (1 - s) * inner


def _silu_slope(x: Array) -> Any:
    s = _sigmoid(x)
    return s * (1 + x * (1 - s))


def _mish_slope(x: Array) -> Any:
    t = _tanh_softplus(x)
    return t + x * (1 - t * t) * _sigmoid(x)


# where the slope is 0 the gradient is dropped, not multiplied: it may be infinite


def _grad_div(g: Array, d: Array) -> Any:
    return np.where(g == 0, 0, g / d)


def _norm_grad(g: Array, x: Array, norm: Array) -> Any:
    # x / norm comes first, so that neither overflows and an infinite x has no slope
    return np.where((norm == 0) | (g == 0), 0, g * (x / norm))


def _relu_grad(g: Array, y: Array) -> Any:
    return np.where(y <= 0, 0, g)


def _hardshrink_grad(g: Array, x: Array, lambd: float) -> Any:
    return np.where(np.abs(x) <= lambd, 0, g)


def _threshold_grad(g: Array, x: Array, threshold: float) -> Any:
    return np.where(x <= threshold, 0, g)


def _clamp_grad(g: Array, x: Array, low: float, high: float) -> Any:
    return np.where((x >= low) & (x <= high), g, 0)


def _hardtanh_grad(g: Array, x: Array, low: float, high: float) -> Any:
    return np.where((x <= low) | (x >= high), 0, g)


def _hardsigmoid_grad(g: Array, x: Array) -> Any:
    return np.where((x > -3) & (x < 3), g / 6, 0)


def _copysign_grad(g: Array, x: Array, y: Array) -> Any:
    turned = np.where(np.signbit(x) == np.signbit(y), g, -g)
    return np.where(np.abs(x) > 0, turned, 0)


def _maximum_grad(g: Array, x: Array, y: Array) -> Any:
    return np.where(x < y, 0, np.where(x == y, g / 2, g))


def _var_grad(g: Array, x: Array, mean: Array, scale: float) -> Any:
    return np.where(g == 0, 0, g * (scale * (x - mean)))


def _logsumexp_grad(g: Array, x: Array, out: Array) -> Any:
    return np.where(g == 0, 0, g * np.exp(x - out))


grad_mul = _grad(_itself)
grad_div = _map(_grad_div, 2)
norm_grad = _map(_norm_grad, 3)
relu_grad = _map(_relu_grad, 2)
leaky_relu_grad = _grad(_leaky_relu_slope)
hardshrink_grad = _map(_hardshrink_grad, 2)
threshold_grad = _map(_threshold_grad, 2)
clamp_grad = _map(_clamp_grad, 2)
hardtanh_grad = _map(_hardtanh_grad, 2)
hardswish_grad = _grad(_hardswish_slope)
hardsigmoid_grad = _map(_hardsigmoid_grad, 2)
softsign_grad = _grad(_softsign_slope)
sigmoid_grad = _grad(_sigmoid_slope)
tanh_grad = _grad(_tanh_slope)
logsigmoid_grad = _grad(_logsigmoid_slope)
softplus_grad = _grad(_softplus_slope)
elu_grad = _grad(_elu_slope)
gelu_grad = _grad(_gelu_slope)
gelu_tanh_grad = _grad(_gelu_tanh_slope)
silu_grad = _grad(_silu_slope)
mish_grad = _grad(_mish_slope)
copysign_grad = _map(_copysign_grad, 3)
maximum_grad = _map(_maximum_grad, 3)
var_grad = _map(_var_grad, 3)
logsumexp_grad = _map(_logsumexp_grad, 3)
