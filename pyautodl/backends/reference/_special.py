"""Functions of statistics and windows in NumPy, each by another way than the kernels'.

They are oracles for arguments of moderate size, not fast.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np

__all__ = ["FUNCTIONS", "PAIRS", "slope_of_gamma"]

Array = np.ndarray[Any, Any]
_INVERSE = NormalDist().inv_cdf


def _lgamma(x: float, n: float) -> float:
    if x <= 0 and x == math.floor(x):
        return math.inf
    return math.lgamma(x)


def _digamma(x: float, n: float) -> float:
    if x == 0:
        return math.copysign(math.inf, -x)
    if x < 0:
        if x == math.floor(x):
            return math.nan
        return _digamma(1 - x, n) - math.pi / math.tan(math.pi * math.fmod(x, 1))
    if math.isinf(x) or math.isnan(x):
        return x
    total = 0.0
    while x < 30:
        total -= 1 / x
        x += 1
    tail = 1 / 12 - (1 / 120 - (1 / 252 - 1 / (240 * x * x)) / (x * x)) / (x * x)
    return total + math.log(x) - 0.5 / x - tail / (x * x)


def _polygamma(x: float, n: float) -> float:
    s = int(n) + 1
    if math.isnan(x) or x == -math.inf:
        return math.nan
    sign = (-1.0) ** s
    if x <= 0 and x == math.floor(x):
        return sign * math.inf
    total = 0.0
    while x < 60:
        total += x**-s
        x += 1
    if not math.isinf(x):
        tail = x / (s - 1) + 0.5 + s / (12 * x)
        total += x**-s * (tail - s * (s + 1) * (s + 2) / (720 * x**3))
    return sign * math.factorial(s - 1) * total


def _ndtri(p: float, n: float) -> float:
    if 0 < p < 1:
        return _INVERSE(p)
    return -math.inf if p == 0 else math.inf if p == 1 else math.nan


def _erfinv(x: float, n: float) -> float:
    if abs(x) >= 1 or math.isnan(x):
        return math.copysign(math.inf, x) if abs(x) == 1 else math.nan
    y = _INVERSE((1 + x) / 2) / math.sqrt(2)
    # what (1 + x) / 2 has lost
    return y - (math.erf(y) - x) * math.sqrt(math.pi) / 2 * math.exp(y * y)


def _bessel(order: int, scaled: bool) -> Callable[[float, float], float]:
    """The mean of exp(x cos t) cos(order t) over a turn."""

    def function(x: float, n: float) -> float:
        size = abs(x)
        if math.isinf(x):
            value = 0.0 if scaled else math.inf
        elif math.isnan(x):
            value = math.nan
        else:
            t = np.arange(64 + int(10 * math.sqrt(size))) + 0.5
            t = 2 * np.pi * t / len(t)
            wave = np.exp(size * (np.cos(t) - 1)) * np.cos(order * t)
            value = float(np.mean(wave))
            if not scaled:
                half = math.exp(size / 2) if size < 1400 else math.inf
                value = value * half * half
        return -value if order and x < 0 else value

    return function


def _sinc(x: float, n: float) -> float:
    return math.nan if math.isinf(x) else float(np.sinc(x))


def _sinc_slope(x: float, n: float) -> float:
    u = math.pi * x
    if math.isinf(x):
        return math.nan
    if abs(u) < 0.5:
        powers = range(1, 12)
        return math.pi * sum(
            (-1) ** k * 2 * k * u ** (2 * k - 1) / math.factorial(2 * k + 1)
            for k in powers
        )
    return float(np.cos(u) - np.sinc(x)) / x


def _times(x: Array, logarithm: Array, y: Array) -> Array:
    with np.errstate(invalid="ignore"):
        return np.where((x == 0) & (y == y), 0, x * logarithm)


def _heaviside(x: Array, y: Array) -> Array:
    """0 of NaN."""
    return np.where(x == 0, y, x > 0)


PAIRS: tuple[Callable[[Array, Array], Array], ...] = (
    lambda x, y: _times(x, np.log(y), y),
    lambda x, y: _times(x, np.log1p(y), y),
    np.logaddexp,
    np.logaddexp2,
    _heaviside,
    np.nextafter,
)


FUNCTIONS: tuple[Callable[[float, float], float], ...] = (
    _lgamma,
    _digamma,
    _polygamma,
    _erfinv,
    _ndtri,
    _bessel(0, False),
    _bessel(0, True),
    _bessel(1, False),
    _bessel(1, True),
    _sinc,
    _sinc_slope,
)

# exp-sinh quadrature: points from 0 to infinity, dense at both ends, and their weights
_U = np.linspace(-5, 4.2, 600)
_POINTS = np.exp(np.pi / 2 * np.sinh(_U))
_WEIGHTS = _POINTS * np.pi / 2 * np.cosh(_U) * (_U[1] - _U[0])


def slope_of_gamma(a: float, log_x: float) -> float:
    """-(dF/da) / (x dF/dx), the derivative of F being an integral over either tail."""
    if not a > 0 or math.isnan(log_x):
        return math.nan
    x = math.exp(log_x)
    level = log_x - _digamma(a, 0)
    with np.errstate(over="ignore", under="ignore"):
        if x <= a:
            shares = np.exp(x * -np.expm1(-_POINTS) - a * _POINTS)
            return -float(np.sum(_WEIGHTS * shares * (level - _POINTS)))
        shares = np.exp(np.minimum(a * _POINTS - x * np.expm1(_POINTS), 700))
        return float(np.sum(_WEIGHTS * shares * (level + _POINTS)))
