"""What the kernels of reductions and scans mean, in NumPy.

`out` has the axes of `x`, of size 1 where `x` is reduced.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = [
    "amax",
    "amin",
    "any",
    "cdist",
    "cdist_grad",
    "cumprod",
    "cumsum",
    "cumulative_extremum",
    "linear_scan",
    "logcumsumexp",
    "logsumexp",
    "max_index",
    "min_index",
    "norm",
    "prod",
    "sum",
    "var",
]

_Array = np.ndarray[Any, Any]


def _reduced(x: _Array, out: _Array) -> tuple[int, ...]:
    return tuple(i for i in range(x.ndim) if x.shape[i] != out.shape[i])


def _wide(dtype: np.dtype[Any]) -> Any:
    """The type in which a sum runs."""
    return np.float64 if dtype.kind == "f" else np.int64


def sum(x: _Array, out: _Array, divisor: float) -> None:
    """Sum over the reduced axes, divided by `divisor` for floats."""
    total = x.sum(_reduced(x, out), dtype=_wide(x.dtype), keepdims=True)
    out[...] = total / divisor if out.dtype.kind == "f" else total


def prod(x: _Array, out: _Array) -> None:
    """Product over the reduced axes."""
    out[...] = x.prod(_reduced(x, out), dtype=_wide(x.dtype), keepdims=True)


def amax(x: _Array, out: _Array) -> None:
    """Largest element; NaN if there is one. Of 0 and -0 it is 0."""
    out[...] = x.max(_reduced(x, out), keepdims=True) + x.dtype.type(0)


def amin(x: _Array, out: _Array) -> None:
    """Smallest element; NaN if there is one. Of 0 and -0 it is 0."""
    out[...] = x.min(_reduced(x, out), keepdims=True) + x.dtype.type(0)


def max_index(x: _Array, values: _Array | None, indices: _Array) -> None:
    """First largest element along the reduced axis, and where it stands."""
    _place(x, values, indices, np.argmax)


def min_index(x: _Array, values: _Array | None, indices: _Array) -> None:
    """First smallest element along the reduced axis, and where it stands."""
    _place(x, values, indices, np.argmin)


def _place(x: _Array, values: _Array | None, indices: _Array, find: Any) -> None:
    axes = _reduced(x, indices)
    if axes:
        indices[...] = find(x, axes[0], keepdims=True)
        best = np.take_along_axis(x, indices, axes[0])
    else:
        indices[...] = 0
        best = x
    if values is not None:
        values[...] = best


def any(x: _Array, out: _Array, all: int) -> None:
    """Whether any element is not 0, or all."""
    find = np.all if all else np.any
    out[...] = find(x, axis=_reduced(x, out), keepdims=True)


def norm(x: _Array, out: _Array, p: float) -> None:
    """The p-norm."""
    size = np.abs(x.astype(np.float64))
    powers = size != 0 if p == 0 else size**p
    total = powers.sum(_reduced(x, out), keepdims=True)
    out[...] = total if p == 0 else total ** (1 / p)


def cdist(x: _Array, y: _Array, out: _Array) -> None:
    """Euclidean distances between all rows of matrices."""
    for each, rows, others in zip(out, x, y, strict=True):
        apart = rows[:, None].astype(np.float64) - others
        each[...] = np.sqrt(np.square(apart).sum(-1))


def cdist_grad(x: _Array, y: _Array, share: _Array, out: _Array) -> None:
    """Sums over the rows of y of (x - y) share."""
    for each, rows, others, weights in zip(out, x, y, share, strict=True):
        apart = rows[:, None].astype(np.float64) - others
        each[...] = (apart * weights[..., None]).sum(1)


def var(
    x: _Array, out: _Array, mean: _Array | None, root: int, correction: float
) -> None:
    """The variance or its root, and the mean if wanted."""
    axes = _reduced(x, out)
    wide = x.astype(np.float64)
    count = x.size // out.size if out.size else 1
    with np.errstate(over="ignore", invalid="ignore"):
        middle, squares = _about_the_mean(wide, axes)
        # squares overflow, or vanish, where numbers do not
        scale = np.where(np.isfinite(squares), 1.0, _FAR)
        tiny = (squares < 2.0**-900) & (np.abs(middle) < 2.0**-430)
        scale = np.where(tiny, 1 / _FAR, scale)
        if (scale != 1).any():
            middle, squares = _about_the_mean(wide * scale, axes)
        result = squares / (count - correction)
        out[...] = np.sqrt(result) / scale if root else result / scale / scale
        if mean is not None:
            mean[...] = middle / scale


_FAR = 2.0**-600


def _about_the_mean(x: _Array, axes: tuple[int, ...]) -> tuple[_Array, _Array]:
    """The mean, and the sum of the squared distances from it."""
    middle = x.mean(axes, keepdims=True)
    return middle, ((x - middle) ** 2).sum(axes, keepdims=True)


def logsumexp(x: _Array, out: _Array) -> None:
    """log of the sum of exponentials."""
    axes = _reduced(x, out)
    top = x.max(axes, keepdims=True, initial=-np.inf)
    shift = np.where(np.isfinite(top), top, 0)
    out[...] = np.log(np.exp(x - shift).sum(axes, keepdims=True)) + shift


def _turned(x: _Array, axis: int, reverse: int) -> _Array:
    return np.flip(x, axis) if reverse else x


def cumsum(x: _Array, out: _Array, axis: int, reverse: int) -> None:
    """Running sums."""
    total = _turned(x, axis, reverse).cumsum(axis, dtype=_wide(x.dtype))
    out[...] = _turned(total, axis, reverse)


def cumprod(x: _Array, out: _Array, axis: int, reverse: int) -> None:
    """Running products."""
    total = _turned(x, axis, reverse).cumprod(axis, dtype=_wide(x.dtype))
    out[...] = _turned(total, axis, reverse)


def logcumsumexp(x: _Array, out: _Array, axis: int, reverse: int) -> None:
    """The logarithm of running sums of exponentials."""
    wide = _turned(x, axis, reverse).astype(np.float64)
    out[...] = _turned(np.logaddexp.accumulate(wide, axis), axis, reverse)


def cumulative_extremum(
    x: _Array, values: _Array, indices: _Array, axis: int, least: int
) -> None:
    """The best element so far along an axis, and the last place of such."""
    best = np.minimum if least else np.maximum
    running = best.accumulate(x, axis)
    own = (x == running) | (x != x)
    places = np.expand_dims(np.arange(x.shape[axis]), [*range(1, x.ndim - axis)])
    indices[...] = np.maximum.accumulate(np.where(own, places, 0), axis)
    values[...] = np.take_along_axis(x, indices, axis)


def linear_scan(a: _Array, b: _Array, out: _Array, axis: int, reverse: int) -> None:
    """out_k = b_k + a_k out_(k-1); in reverse out_k = b_k + a_(k+1) out_(k+1)."""
    factors = np.moveaxis(_turned(a, axis, reverse), axis, 0)
    terms = np.moveaxis(_turned(b, axis, reverse), axis, 0)
    result = np.moveaxis(_turned(out, axis, reverse), axis, 0)
    carry = np.zeros(terms.shape[1:])
    for i in range(len(terms)):
        # in reverse it is the factor of the element before that counts
        if i:
            carry = carry * factors[i - 1 if reverse else i]
        carry = carry + terms[i]
        result[i] = carry
